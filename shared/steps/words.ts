// Words that people know from other backup tools, and the commands that do here what they mean.
import { KINDS, type AnyKind } from '../kinds/registry.ts';

/** A command line without `lifeboat`, and what it does. */
export interface Suggestion {
  line: string;
  what: string;
}

/** Only look, and mean one thing: the command line takes them for the command itself. */
export const ALIASES: ReadonlyMap<string, string> = new Map([
  ['list', 'list-backups'],
  ['ls', 'list-backups'],
  ['backups', 'list-backups'],
  ['snapshots', 'list-backups'],
  ['health', 'status'],
]);

const PLAN = 'shows the plan and changes nothing';
const restoring = KINDS.all.flatMap(({ steps }) => steps.restore ?? []);
const BACK_UP = [{ line: 'backup-all', what: 'backs up everything that dr.yml names' }, ...KINDS.all.map(backUpOf)];
const RESTORE = KINDS.all.flatMap(restoresOf);
const ROLL_BACK = restoring.map(({ name }) => ({ line: `${name} --rollback --dry-run`, what: 'shows how to undo it' }));
const CHECK = [
  { line: 'verify', what: 'proves that the latest backup can be restored' },
  { line: 'status', what: 'says whether every backup is there, recent and sound' },
  { line: 'doctor', what: 'checks the set-up: dr.yml, stores, keys, database' },
  { line: 'config validate', what: 'checks dr.yml' },
];
const PRUNE = [
  { line: 'apply-retention --dry-run', what: 'shows what the rules would remove' },
  { line: 'list-backups', what: 'lists the backups that there are' },
];
const COMPARE = [{ line: 'backup-integrity-check', what: 'compares a backup with what is there now' }];
const COPY = [{ line: 'copy-backups', what: 'copies backups to another store' }];
const OPEN = [
  { line: 'decrypt', what: 'turns one backup into a plain archive' },
  ...restoring.map(({ name }) => ({ line: `${name} --dry-run`, what: PLAN })),
];
const HOLD = [{ line: 'hold-backup', what: 'keeps a backup from being removed' }];
const RELEASE = [{ line: 'release-hold', what: 'lets retention remove a held backup again' }];
const BEGIN = [
  { line: 'init', what: 'writes a dr.yml' },
  { line: 'doctor', what: 'checks the set-up' },
];
const LOOK = [
  { line: 'status', what: 'says whether every backup is there, recent and sound' },
  { line: 'list-backups', what: 'lists the backups that there are' },
];
const HISTORY = [
  { line: 'audit', what: 'shows who changed, restored and removed what' },
  { line: 'list-backups', what: 'lists the backups that there are' },
];
const TELL = [
  { line: 'notify', what: 'sends a message to the channels of dr.yml' },
  { line: 'prometheus-rules', what: 'writes alert rules for Prometheus' },
];
const IMPORT = [{ line: 'import-backup', what: 'takes in a dump that another tool made' }];

/** Everything that writes or removes, or could mean several things, is suggested and never run. */
const MEANINGS: readonly (readonly [words: string, suggestions: readonly Suggestion[]])[] = [
  ['backup dump save store run start create make take', BACK_UP],
  ...KINDS.all.flatMap((kind) => wordsOf(kind)),
  ['restore recover recovery load', RESTORE],
  ['rollback roll-back undo revert', ROLL_BACK],
  ['check validate validation test prove', CHECK],
  ['prune forget purge expire expiry clean cleanup delete remove rm gc retain retention rotate tidy', PRUNE],
  ['compare diff integrity integrity-check', COMPARE],
  ['copy cp sync replicate replication mirror', COPY],
  ['import', IMPORT],
  ['export extract open unpack download get cat mount', OPEN],
  ['hold keep pin protect', HOLD],
  ['release unhold unpin', RELEASE],
  ['setup set-up install new configure begin', BEGIN],
  ['show info stats stat state healthcheck monitor', LOOK],
  ['log logs history report', HISTORY],
  ['alert alerts message send', TELL],
];

function backUpOf({ noun, steps }: AnyKind): Suggestion {
  return { line: steps.backup.name, what: `backs up one ${noun}` };
}

function restoresOf({ steps: { restore } }: AnyKind): Suggestion[] {
  if (restore === undefined) return [];
  return [
    { line: `${restore.name} --dry-run`, what: PLAN },
    { line: restore.name, what: 'shows the plan, asks, then restores' },
  ];
}

/** Words for a kind, and for what its own tools do. */
function wordsOf(kind: AnyKind): [words: string, suggestions: readonly Suggestion[]][] {
  const { thing = [], backup = [], restore = [] } = kind.words ?? {};
  return [
    [[kind.kind, ...thing].join(' '), [backUpOf(kind), ...restoresOf(kind)]],
    [backup.join(' '), [BACK_UP[0] as Suggestion, backUpOf(kind)]],
    [restore.join(' '), restoresOf(kind)],
  ].filter(([words]) => words !== '') as [string, Suggestion[]][];
}

/** Words for the things of all kinds: part of a word that says what is done with one. */
const THINGS = new Set(KINDS.all.flatMap(({ kind, words }) => [kind, ...(words?.thing ?? [])]));

/** What is probably meant by a word that is no command; empty for a word that is not known. */
export function meaningsOf(word: string): readonly Suggestion[] {
  const wanted = word.toLowerCase();
  const whole = MEANINGS.find(([words]) => words.split(' ').includes(wanted))?.[1];
  if (whole !== undefined) return whole;
  // `restore-backup`, `prune_snapshots`: the first part that says something more than what it is about.
  const parts = wanted.split(/[-_.:]/).filter((part) => !/^(?:backups?|snapshots?)$/.test(part) && !THINGS.has(part));
  return parts.length > 0 && parts.length < wanted.length && parts[0] !== wanted
    ? (parts.map(meaningsOf).find((found) => found.length > 0) ?? [])
    : [];
}

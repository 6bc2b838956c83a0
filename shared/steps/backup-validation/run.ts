// What `backup-validation` does: proves stored backups, one after the other, and says which one failed and where.
import { pickBackup } from '../../catalog/pick.ts';
import { listBackups, type ListedBackup } from '../../catalog/list.ts';
import { openBackup } from '../../backup/read.ts';
import { markInUse } from '../../catalog/in-use.ts';
import { sessionOf } from '../../session/session.ts';
import type { Effects, StepReturn } from '../../step/define.ts';
import { UserError, VerificationError } from '../../step/errors.ts';
import { formatBytes, formatRate, formatSeconds, items, plural } from '../../step/format.ts';
import { StoreError } from '../../stores/errors.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from './inputs.ts';
import type { Place } from '../../backup/place.ts';
import { openKeys } from '../../session/open.ts';
import { adviceFor, checkBackup, type Checked, type Verdict } from '../../runs/prove-backup.ts';
import type { PointLook } from '../../runs/recovery-point.ts';
import { recorded, type RunNotes } from '../../runs/record.ts';
import { heading, page, table } from '../../pages/summary.ts';
import { inEveryPlace, NothingToValidate, placesToValidate } from './places.ts';

type Inputs = Context['inputs'];

export async function runBackupValidation(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const effects: Effects = inputs.repair ? 'writes' : 'reads';
  const run = { component: inputs.component, effects };
  let look: PointLook = { places: [], problems: [], doubts: [] };
  const open = async (): Promise<Place> => {
    look = await placesToValidate(context);
    return look.places[0] as Place;
  };
  return recorded(context, open, run, (_place, notes) =>
    inEveryPlace(context, look, notes, (own, place, found) => validate(own, inputs, place, found)),
  );
}

async function validate(context: Context, inputs: Inputs, place: Place, notes: RunNotes): Promise<StepReturn> {
  const { host, clock } = context;
  const started = clock.monotonic();
  const recipients = await openKeys(context);
  const chosen = await choose(context, inputs, place, recipients);
  const backups = chosen.filter(({ offline }) => offline === undefined);
  const skipped = chosen.filter(({ offline }) => offline !== undefined).map((backup) => archivedText(backup, place));
  for (const text of skipped) host.notice(text);
  const { depth, subset, repair } = inputs;
  const job = { context, kinds: sessionOf(context).kinds, place, recipients, depth, subset, repair, host, clock, signal: context.signal };
  const checked: Checked[] = [];
  for (const backup of backups) {
    const release = await kept(context, place, backup);
    if (typeof release === 'string') {
      skipped.push(release);
      continue;
    }
    try {
      checked.push(await checkBackup(job, backup));
    } finally {
      await release();
    }
    noteFindings(notes, checked);
    // A store or a vault that fails twice in a row is away: it is not waited for with every backup.
    if (checked.length > 1 && checked.slice(-2).every(({ verdict }) => verdict === 'unread')) {
      const left = backups.length - backups.indexOf(backup) - 1;
      if (left > 0) skipped.push(`${plural(left, 'further backup')} were not looked at.`);
      break;
    }
  }

  const failed = checked.filter(({ problem }) => problem !== undefined);
  const seconds = (clock.monotonic() - started) / 1000;
  context.setOutput('checked', checked.length);
  context.setOutput('failed', failed.length);
  context.setOutput('timestamp', backups[backups.length - 1]?.timestamp ?? '');
  context.setOutput('seconds', seconds.toFixed(1));
  await host.summary(page(summary(checked, failed.length, inputs, place), skipped.map((text) => `- ${text}`).join('\n')));
  if (failed.length > 0) throw failureOf(failed, checked.length);
  const doubts = checked.flatMap(({ doubt }) => doubt ?? []);
  if (checked.length === 0) doubts.push(`Nothing was validated. ${skipped.join(' ')}`);
  return { doubts, result: { depth, subset, checked } };
}

/** What the record keeps, however the run ends. Only reading to the last document clears a backup that was found bad before. */
function noteFindings(notes: RunNotes, checked: readonly Checked[]): void {
  const names = (which: (one: Checked) => boolean): string[] =>
    checked.filter(which).map(({ component, timestamp }) => `${component}/${timestamp}`);
  notes.badBackups = names(({ verdict }) => verdict === 'damaged');
  notes.goodBackups = names(({ proved }) => proved);
  notes.keylessBackups = names(({ verdict }) => verdict === 'keyless');
  notes.wrongMetadata = names(({ verdict }) => verdict === 'metadata');
}

/** Damage decides: a key that is missing, or a store that is away, may come back. */
function failureOf(failed: readonly Checked[], all: number): UserError {
  const [only] = failed;
  const fix = adviceFor(failed);
  if (only?.error && failed.length === 1 && only.verdict !== 'damaged') return only.error;
  const message =
    failed.length === 1
      ? (only?.problem as string)
      : `${plural(failed.length, 'backup')} of ${all} failed:\n${failed.map(({ problem }) => `- ${problem as string}`).join('\n')}`;
  if (failed.some(({ verdict }) => verdict === 'damaged' || verdict === 'metadata')) return new VerificationError(message, { fix });
  return failed.every(({ error }) => error instanceof StoreError) ? new StoreError(message, { fix }) : new UserError(message, { fix });
}

/** Keeps retention away while a backup is read, where the store may be written to. @returns why it is not read when retention was first */
async function kept({ host, signal }: Context, place: Place, { component, timestamp }: ListedBackup) {
  try {
    return await markInUse(place, { component, timestamp, what: 'validated', by: host.run, signal });
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof StoreError)) throw thrown;
    host.notice(thrown.message);
    return `It is not read: ${thrown.message}`;
  }
}

/** Bringing a backup back costs money and hours: that is for the one who restores it. */
function archivedText({ component, timestamp, offline }: ListedBackup, { store }: Place): string {
  const where = offline === 'archived' ? 'lies in the archive tier' : 'is being brought back from the archive tier';
  return `${component} ${timestamp} is not read: it ${where} of ${store.location}.`;
}

async function choose(
  context: Context,
  inputs: Inputs,
  { store, prefix }: Place,
  recipients: readonly KeyRecipient[],
): Promise<ListedBackup[]> {
  const { component, type, timestamp, days } = inputs;
  const { signal, clock } = context;
  if (timestamp !== undefined && component !== undefined) {
    return [(await pickBackup({ store, prefix, component, timestamp, signal })).backup];
  }
  const since = days === undefined ? {} : { since: new Date(clock.now().getTime() - days * 86_400_000) };
  const there = (await listBackups(store, prefix, { component, ...since, signal })).filter(
    // One that retention has marked is told to be on its way.
    ({ state, whole, ...backup }) =>
      state !== 'leftover' && (state !== 'pruning' || whole === true) && (timestamp === undefined || backup.timestamp === timestamp),
  );
  const all: ListedBackup[] = [];
  for (const backup of there)
    if (type === 'all' || backup.kind === type || (await isOfType(type, context, { store, prefix }, recipients, backup))) all.push(backup);
  if (all.length === 0) {
    throw new NothingToValidate(`There is no backup to validate in ${store.location}, below ${prefix}.`, {
      fix: `Check ${context.host.spell('store')}, ${context.host.spell('name')} and ${context.host.spell('component')}; list-backups shows what is there.`,
    });
  }
  if (days !== undefined || timestamp !== undefined) return all;
  // Sorted oldest first: the last of each component stays.
  return [...new Map(all.map((backup) => [backup.component, backup])).values()];
}

/**
 * Whether a backup that the listing says is of another kind is of this one nevertheless: the manifest knows. One that is damaged is looked
 * at in any case.
 */
async function isOfType(
  type: string,
  { signal, host }: Context,
  place: Pick<Place, 'store' | 'prefix'>,
  recipients: readonly KeyRecipient[],
  { component, timestamp, kind }: ListedBackup,
): Promise<boolean> {
  try {
    const { manifest } = await openBackup({ ...place, component, timestamp, recipients, signal });
    return manifest.kind === type;
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof UserError)) throw thrown;
    if (thrown instanceof VerificationError) return true;
    host.notice(`${component} ${timestamp} is listed as ${kind ?? 'of no kind'}, which could not be proved: ${thrown.message}`);
    return kind === undefined;
  }
}

const GOOD: Partial<Record<Verdict, string>> = { good: 'good', unknown: 'bytes good, content of an unknown kind' };

function summary(checked: readonly Checked[], failed: number, { depth, subset }: Inputs, { store, prefix }: Place): string {
  const what =
    subset !== undefined
      ? `part ${subset} of the stored bytes`
      : depth === 'full'
        ? 'every byte and every document'
        : 'every stored byte, not the documents';
  return page(
    failed === 0
      ? heading('good', `${plural(checked.length, 'backup')} of ${prefix} validated: ${what}`)
      : heading('bad', `${failed} of ${plural(checked.length, 'backup')} of ${prefix} FAILED validation`),
    table(
      ['timestamp', 'component', 'verdict', 'stored', 'items', 'time', 'speed'],
      checked.map((row) => [
        row.timestamp,
        row.component,
        row.problem === undefined ? (GOOD[row.verdict] ?? '') + (row.repaired ? ', metadata mended' : '') : `FAILED: ${row.problem}`,
        formatBytes(row.storedBytes),
        row.items === undefined ? '-' : items(row.items.count, row.items.unit),
        formatSeconds(row.seconds),
        row.plainBytes > 0 ? formatRate(row.plainBytes, row.seconds) : '-',
      ]),
    ),
    `In ${store.location}.`,
  );
}

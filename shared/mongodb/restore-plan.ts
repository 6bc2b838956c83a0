// The plan of a restore: what would be written where, what is in the way, and what should be known before. Nothing is touched.
import { UsageError } from '../step/errors.ts';
import { printable } from '../step/prose.ts';
import type { ArchiveReport, NamespaceReport } from './archive-inspector.ts';
import { namespaceName, shownName, type Namespace } from './archive.ts';
import { compileSelection, isAccounts, isInternal, parseRenames, renamed, type Renaming, type Selection } from './namespaces.ts';
import type { RestoreTarget } from './restore-target.ts';

/** What is wanted of a restore, wherever it goes. */
export interface RestoreWishes extends Selection {
  /** The manifest's report of the backup. */
  report: ArchiveReport;
  /** `from=to`, for databases or collections. */
  renames?: readonly string[];
  /** The backup's one database under this name. */
  targetDatabase?: string | undefined;
  /** Collections that hold documents may be dropped and restored. */
  replace?: boolean;
  /** How the caller's user writes an input (`--target-database`), for what a refusal tells to do. Default: as it is. */
  spell?: (input: 'rename' | 'targetDatabase' | 'include' | 'replace') => string;
  signal?: AbortSignal;
}

/** The spelling of a caller that has no user: the input's own name. */
export const asItIs = (input: string): string => input;

/** One collection of a restore. */
export interface PlannedNamespace {
  from: string;
  to: string;
  type: NamespaceReport['type'];
  documents: number;
  /** Documents under that name on the target now; undefined when there is no such collection. */
  existing: number | undefined;
}

/** What a restore would do. Nothing has been touched when it is made. */
export interface RestorePlan {
  /** Identity of the target, without credentials. */
  fingerprint: string;
  targetVersion: string;
  engine: RestoreTarget['engine'];
  namespaces: PlannedNamespace[];
  /** Those of them that hold documents on the target now: what is going to be lost, and what a safety backup must cover. */
  occupied: PlannedNamespace[];
  /** Collections of the same databases that the backup does not have; they stay as they are. */
  untouched: string[];
  /** The dump's oplog is applied after its documents, which makes the result of one point in time. */
  replaysOplog: boolean;
  /** Users and roles of the backup are merged into those of the target. */
  mergesAccounts: boolean;
  /** What should be known before: versions, what the engine cannot do. */
  warnings: string[];
}

/**
 * The renamings of a restore.
 * @throws UsageError when one target database is given for a backup of several
 */
export function renamesOf({ report, renames = [], targetDatabase, spell = asItIs }: RestoreWishes): Renaming[] {
  if (targetDatabase === undefined) return parseRenames(renames);
  const databases = [...new Set(report.namespaces.filter((namespace) => !isAccounts(namespace)).map(({ db }) => db))];
  const [only] = databases;
  if (only === undefined || databases.length > 1) {
    throw new UsageError(
      `The backup holds ${databases.length} databases (${databases.join(', ')}), so one target database is not enough.`,
      {
        fix: `Use ${spell('rename')}, such as shop=shop_check, once for each database, and ${spell('include')} for those you want.`,
      },
    );
  }
  return [{ from: { db: only }, to: { db: targetDatabase } }];
}

/**
 * Looks at the target and says what would become of it. Writes nothing.
 * @throws UsageError for names that are not in the backup, or that would collide
 */
export async function makePlan(wishes: RestoreWishes, target: RestoreTarget, renames: readonly Renaming[]): Promise<RestorePlan> {
  const { report } = wishes;
  const selector = compileSelection(wishes);
  const chosen = report.namespaces.filter((namespace) => selector.matches(namespace) && !isInternal(namespace));
  const unmatched = selector.unmatched(report.namespaces);
  if (unmatched.length > 0) {
    throw new UsageError(`The backup has no database or collection ${unmatched.map((name) => `"${name}"`).join(', ')}.`, {
      fix: 'Check the spelling; names are case-sensitive.',
    });
  }
  const data = chosen.filter((namespace) => !isAccounts(namespace));
  const targets = data.map((namespace) => ({ namespace, to: renamed(namespace, renames) }));
  refuseCollisions(targets, wishes);
  const there = await target.list([...new Set(targets.map(({ to }) => to.db))]);
  const namespaces: PlannedNamespace[] = [];
  for (const { namespace, to } of targets) {
    const found = there.get(namespaceName(to));
    namespaces.push({
      from: namespaceName(namespace),
      to: namespaceName(to),
      type: namespace.type,
      documents: namespace.documents,
      existing: found && (await target.count(found)),
    });
  }
  const planned = new Set(namespaces.map(({ to }) => to));
  const whole = renames.length === 0 && selector.everything;
  const replay = oplogReplay(report, target, whole);
  const accounts = accountsMerge(report, chosen, { target, whole });
  return {
    fingerprint: target.fingerprint,
    targetVersion: target.version,
    engine: target.engine,
    namespaces,
    occupied: namespaces.filter(({ existing }) => (existing ?? 0) > 0),
    untouched: [...there.keys()].filter((name) => !planned.has(name)).sort(),
    replaysOplog: replay.possible,
    mergesAccounts: accounts.possible,
    warnings: [...warningsOf(report, target), ...accounts.warnings, ...replay.warnings],
  };
}

function refuseCollisions(
  targets: readonly { namespace: Namespace; to: Namespace }[],
  { spell = asItIs }: Pick<RestoreWishes, 'spell'>,
): void {
  const seen = new Map<string, string>();
  for (const { namespace, to } of targets) {
    const other = seen.get(namespaceName(to));
    if (other !== undefined) {
      throw new UsageError(`Both ${printable(other)} and ${shownName(namespace)} would become ${shownName(to)}.`, {
        fix: `Give each its own name in ${spell('rename')}.`,
      });
    }
    seen.set(namespaceName(to), namespaceName(namespace));
  }
}

function warningsOf(report: ArchiveReport, target: RestoreTarget): string[] {
  const warnings: string[] = [];
  const [from, to] = [report.serverVersion, target.version].map((version) => Number.parseFloat(version));
  if (from !== undefined && to !== undefined && from > to) {
    warnings.push(
      `The backup comes from MongoDB ${report.serverVersion}, the target is the older ${target.version}: it may not take everything.`,
    );
  }
  if (target.product !== undefined) warnings.push(`The target is ${target.product}, not MongoDB: some options and types may not be taken.`);
  const ofOldUsers = report.namespaces.filter(
    ({ db, collection, documents }) => db !== 'admin' && collection === 'system.users' && documents > 0,
  );
  if (ofOldUsers.length > 0) {
    const names = ofOldUsers.map(shownName).join(', ');
    warnings.push(
      `${names}: users of MongoDB 2.4 or older are not restored, since no server of today takes their passwords. Create them anew.`,
    );
  }
  const unread = report.namespaces.filter((namespace) => namespace.collection === 'system.indexes' && lacksIndexes(report, namespace));
  if (unread.length > 0) {
    const names = unread.map(shownName).join(', ');
    warnings.push(
      `${names}: indexes that only this collection names, of a dump of MongoDB 2.x, are not restored. Import the old file again, which finds them.`,
    );
  }
  const ofDatabase = report.namespaces.filter(({ collection }) => collection.startsWith('$admin.system.'));
  if (ofDatabase.length > 0)
    warnings.push(`${ofDatabase.map(shownName).join(', ')}: users and roles of a single database are not restored.`);
  return warnings;
}

/** True where `system.indexes` lists more than the metadata of the collections beside it. */
function lacksIndexes({ namespaces }: ArchiveReport, { db, documents }: NamespaceReport): boolean {
  const known = namespaces.filter((one) => one.db === db).reduce((sum, { indexes }) => sum + indexes.length, 0);
  return documents > known;
}

/** Whether users and roles come along, and what there is to know about it. */
function accountsMerge(
  report: ArchiveReport,
  chosen: readonly NamespaceReport[],
  { target, whole }: { target: RestoreTarget; whole: boolean },
): { possible: boolean; warnings: string[] } {
  const isThere = chosen.some((namespace) => isAccounts(namespace) && namespace.collection !== 'system.version' && namespace.documents > 0);
  if (!isThere) return { possible: false, warnings: [] };
  const obstacle = !whole
    ? 'that needs the whole backup under its own names'
    : target.product !== undefined
      ? `${target.product} keeps them in its own way`
      : hasOldUsers(report)
        ? 'they are of MongoDB 2.4 or older, whose passwords no server of today takes; create them anew'
        : undefined;
  const text =
    obstacle === undefined
      ? 'Users and roles of the backup replace those of the same name on the target, passwords included; the others stay. A rollback does not undo that.'
      : `Users and roles of the backup are not restored: ${obstacle}.`;
  return { possible: obstacle === undefined, warnings: [text] };
}

/** Since 2.6 a server notes the form of its users in `admin.system.version`; what it was before is not known of an imported dump. */
function hasOldUsers({ namespaces, serverVersion }: ArchiveReport): boolean {
  const hasForm = namespaces.some((one) => isAccounts(one) && one.collection === 'system.version' && one.documents > 0);
  return !hasForm && Number.parseFloat(serverVersion) < 2.6;
}

/** Whether the dump's oplog will be replayed; a warning when it has one that will not be. */
function oplogReplay(report: ArchiveReport, target: RestoreTarget, whole: boolean): { possible: boolean; warnings: string[] } {
  if ((report.oplog?.touched.length ?? 0) === 0) return { possible: false, warnings: [] };
  const obstacle =
    target.engine !== 'tools'
      ? 'only mongorestore does that (engine: tools)'
      : !whole
        ? 'that needs the whole backup under its own names'
        : target.product !== undefined
          ? `${target.product} has no applyOps`
          : undefined;
  if (obstacle === undefined) return { possible: true, warnings: [] };
  return {
    possible: false,
    warnings: [`The oplog of the dump is not replayed, because ${obstacle}: each collection comes back as of the moment it was dumped.`],
  };
}

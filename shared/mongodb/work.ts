// What Lifeboat does with a MongoDB: dump it, restore it, compare it, look at it. The heavy half of its kind.
import type { Compared, KindChecks, KindWork, Row, Source, Target, TargetRequest } from '../backup/kind.ts';
import type { StepContext } from '../step/define.ts';
import { UserError } from '../step/errors.ts';
import { formatBytes, plural } from '../step/format.ts';
import { Secret } from '../step/input.ts';
import { compareWithDatabase, openDump, openDumpOf, openRestoreInto, podAddress, podOptions, type MongoInputs } from './address.ts';
import { ARCHIVE_MAGIC, namespaceName } from './archive.ts';
import { newArchiveInspector, type ArchiveReport } from './archive-inspector.ts';
import { podMongoChecks } from './checks-pod.ts';
import { mongoChecks } from './checks.ts';
import type { ComparisonRow } from './compare.ts';
import { doubtsOf } from './doubts.ts';
import type { MongoDump } from './dump.ts';
import type { namingInputs } from './inputs.ts';
import type { Selection } from './namespaces.ts';
import { restoreProblem, type Restore, type RestoreOutcome } from './restore.ts';
import { collectionRows, engineText, keepsText, occupiedLines, renamingText, staysText } from './texts.ts';

type RestoreInputs = MongoInputs & typeof namingInputs;
export type MongodbWork = KindWork<MongoInputs, typeof namingInputs, ArchiveReport>;

export const work: MongodbWork = {
  newInspector: newArchiveInspector,
  selection: ({ inputs: { include, exclude } }) => ({ include, exclude }),
  openSource: async (context) => sourceOf(await openDump(context)),
  openTarget,
  compare: compareWith,
  checks: checksOf,
  doubts: doubtsOf,
  count: ({ totals }) => ({ unit: 'documents', units: totals.documents, groups: totals.namespaces, group: 'collection' }),
  plain: { magic: ARCHIVE_MAGIC, restoreWith: (path) => ['mongorestore', `--archive=${path}`] },
  openOld: async (path, unlock) => (await import('./legacy/import.ts')).openLegacyBackup(path, unlock),
  names: ({ namespaces }) => namespaces.map(namespaceName),
  details: (report) => ({ title: 'Collections', head: ['collection', 'documents', 'BSON', 'indexes'], rows: collectionRows(report) }),
};

function sourceOf(dump: MongoDump): Source<ArchiveReport> {
  const { consistency, toolVersion, ...source } = dump.facts;
  const { fingerprint, consistencyReason } = source;
  const engine = source.engine === 'tools' ? `mongodump ${toolVersion ?? ''}`.trim() : 'the built-in engine';
  const size = dump.estimate === undefined ? '' : `, about ${formatBytes(dump.estimate)}`;
  const what = `${fingerprint} (${serverText(dump.facts)})`;
  return {
    bytes: dump.source,
    estimate: dump.estimate,
    said: `Dumping ${what}${size} with ${engine}.`,
    notice: consistencyReason === undefined ? undefined : `Not a single point in time, but collection by collection: ${consistencyReason}.`,
    tools: toolVersion === undefined ? {} : { mongodump: toolVersion },
    facts: () => ({ source, consistency }),
    what,
    consistency: consistency === 'point-in-time' ? 'all collections of one moment' : `collection by collection: ${consistencyReason ?? ''}`,
    doubts: dump.doubts,
    close: () => dump.close(),
  };
}

function serverText({ product, serverVersion, topology }: MongoDump['facts']): string {
  return [`${product ?? 'MongoDB'} ${serverVersion}`, topology].filter((part) => part !== undefined).join(', ');
}

async function openTarget(
  context: StepContext<RestoreInputs>,
  { report, rollback, replace }: TargetRequest<ArchiveReport>,
): Promise<Target<ArchiveReport>> {
  const { host, signal, inputs } = context;
  const { include, exclude, rename, targetDatabase } = inputs;
  const restore = await openRestoreInto(context, {
    report,
    // A rollback puts back all that was replaced.
    ...(rollback || !include ? {} : { include }),
    ...(rollback || !exclude ? {} : { exclude }),
    ...(rename ? { renames: rename } : {}),
    targetDatabase,
    replace,
    spell: (input) => host.spell(input),
    signal,
  });
  return new MongodbTarget(context, restore);
}

class MongodbTarget implements Target<ArchiveReport> {
  readonly #context: StepContext<RestoreInputs>;
  readonly #restore: Restore;
  #outcome: RestoreOutcome | undefined;

  constructor(context: StepContext<RestoreInputs>, restore: Restore) {
    this.#context = context;
    this.#restore = restore;
  }

  get plan(): Restore['plan'] {
    return this.#restore.plan;
  }
  get fingerprint(): string {
    return this.plan.fingerprint;
  }
  get warnings(): readonly string[] {
    return this.plan.warnings;
  }
  get makes(): readonly string[] {
    return this.plan.namespaces.filter(({ existing }) => existing === undefined).map(({ to }) => to);
  }
  get facts(): Target['facts'] {
    const { fingerprint, targetVersion, namespaces } = this.plan;
    const renaming = renamingText(this.plan);
    const documents = namespaces.reduce((sum, one) => sum + one.documents, 0);
    return [
      ['Target', `${fingerprint} (version ${targetVersion})`],
      ['Restores', `${plural(documents, 'document')} in ${plural(namespaces.length, 'collection')}, with ${engineText(this.plan)}`],
      ...(renaming === undefined ? [] : [['Restores as', renaming] as const]),
      ['Keeps', keepsText(this.plan)],
    ];
  }

  losses(after: string): readonly string[] {
    return occupiedLines(this.plan.occupied, after);
  }

  refuseOccupied(): void {
    this.#restore.refuseOccupied();
  }

  isHome(source: string | undefined): boolean {
    const { fingerprint, namespaces } = this.plan;
    const isPod = (address: string): boolean => address.startsWith('kubernetes:');
    // One server may be reached from outside and from inside its pod.
    const elsewhere = source !== undefined && isPod(source) === isPod(fingerprint) && source !== fingerprint;
    return !elsewhere && namespaces.some(({ from, to }) => from === to);
  }

  present(): ReturnType<Target<ArchiveReport>['present']> {
    const { occupied } = this.plan;
    if (occupied.length === 0) return undefined;
    // Empty collections and views, too: a rollback must leave them as they were, not full.
    const { include, exclude } = this.#restore.present();
    return {
      said: plural(occupied.length, 'collection'),
      selection: { include, exclude },
      open: async () => sourceOf(await openDumpOf(this.#context, { include, ...(exclude ? { exclude } : {}) })),
    };
  }

  async write(...[bytes, onProgress]: Parameters<Target['write']>): ReturnType<Target['write']> {
    this.#outcome = await this.#restore.run(bytes, onProgress);
    return { units: this.#outcome.documents, notes: this.#outcome.notes };
  }

  async remove(names: readonly string[]): Promise<string | undefined> {
    const stays = await this.#restore.drop(names);
    return stays.length === 0 ? undefined : staysText(stays);
  }

  async prove(onProgress: Parameters<Target['prove']>[0]): ReturnType<Target['prove']> {
    const comparison = await this.#restore.prove(onProgress);
    return {
      rows: comparison.rows.map(rowOf),
      found: comparison.totals.found,
      verdict: comparison.verdict,
      problem: this.#outcome && restoreProblem(this.#outcome, comparison),
    };
  }

  close(): Promise<void> {
    return this.#restore.close();
  }
}

function rowOf(row: ComparisonRow): Row & ComparisonRow {
  return { ...row, contentOnly: row.documentsOnly };
}

async function compareWith(context: StepContext<RestoreInputs>, report: ArchiveReport): Promise<Compared> {
  const { include, exclude, rename } = context.inputs;
  const { fingerprint, rows, totals } = await compareWithDatabase(context, {
    report,
    ...(include ? { include } : {}),
    ...(exclude ? { exclude } : {}),
    ...(rename ? { renames: rename } : {}),
    signal: context.signal,
    onProgress: (progress) => {
      context.host.progress(progress);
    },
  });
  return { fingerprint, rows: rows.map(rowOf), found: totals.found, totals };
}

/** Checks of the database, wherever it is. */
async function checksOf(context: StepContext<MongoInputs>, lookUp: (path: string) => Promise<string | undefined>): Promise<KindChecks> {
  const { include, exclude, engine, kubernetesNamespace } = context.inputs;
  const selection: Selection = { ...(include ? { include } : {}), ...(exclude ? { exclude } : {}) };
  const found = await connectionString(context, lookUp);
  const pod = kubernetesNamespace === undefined ? undefined : podAddress(context, found.uri);
  return pod && !found.problem ? podMongoChecks(podOptions(context, pod), selection) : mongoChecks({ ...found, engine, ...selection });
}

/** The connection string, or why the one that dr.yml names cannot be had. */
async function connectionString(
  { host, inputs }: StepContext<MongoInputs>,
  lookUp: (path: string) => Promise<string | undefined>,
): Promise<{ uri: Secret | undefined; problem?: UserError }> {
  if (inputs.mongodbUri !== undefined) return { uri: inputs.mongodbUri };
  try {
    const text = (await lookUp('source.uri')) ?? (await lookUp('source.kubernetes.uri'));
    if (text !== undefined) host.mask(text);
    return { uri: text === undefined ? undefined : new Secret(text) };
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    return { uri: undefined, problem: thrown };
  }
}

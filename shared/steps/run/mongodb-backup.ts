// What `mongodb-backup` does: dump → verify → compress → encrypt → store → read back → commit, and say what came of it.
import project from '../../../package.json' with { type: 'json' };
import { writeBackup, type BackupRequest, type BackupResult } from '../../backup/write.ts';
import { openBackup } from '../../backup/read.ts';
import type { JsonValue } from '../../backup/json.ts';
import type { VerifyLevel } from '../../backup/manifest.ts';
import { knownBackups } from '../../catalog/known.ts';
import { isAhead } from '../../catalog/list.ts';
import { newArchiveInspector, type ArchiveReport } from '../../mongodb/archive-inspector.ts';
import { doubtsOf } from '../../mongodb/doubts.ts';
import type { MongoDump } from '../../mongodb/dump.ts';
import type { StepContext, StepReturn } from '../../step/define.ts';
import { errorMessage } from '../../step/errors.ts';
import { formatBytes, formatRate, formatSeconds, plural } from '../../step/format.ts';
import { formatTimestamp, type Timestamp } from '../../step/timestamp.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import { releasing } from '../../tools/release.ts';
import type { lockInputs } from '../inputs.ts';
import type { Context } from '../mongodb-backup/inputs.ts';
import { copyPlaces, withCopies } from './copy-backups.ts';
import { mongodbComponent } from './components.ts';
import { keysBesideDoubts } from './key-place.ts';
import { openDump } from './mongodb-address.ts';
import { openKeys, openPlace, type Place } from './open.ts';
import { outlookOf, outlookParts, outlookRecord } from './outlook.ts';
import { lockOwner, recorded } from './record.ts';
import { collectionRows, restoreCommand } from './mongodb-texts.ts';
import { commandBlock, details, facts, heading, page, table } from './summary.ts';

type Inputs = Context['inputs'];

export async function runMongodbBackup(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await mongodbComponent(context);
  const { timestamp } = inputs;
  const run = { component, backup: timestamp ?? formatTimestamp(context.clock.now()) };
  const onTimestamp = (settled: Timestamp): void => {
    run.backup = settled;
  };
  return recorded(
    context,
    () => openPlace(context, { makes: true }),
    run,
    async (place) => {
      const started = context.clock.monotonic();
      const recipients = await openKeys(context, { makes: true });
      const previous = await previousReport(context, place, recipients, component, inputs);
      const dump = await openDump(context);
      say(context, dump);
      const copies = await copyPlaces(context, inputs.copies);
      const result = await backUpDump(context, { place, recipients, component, timestamp, onTimestamp, inputs, dump, previous, copies });
      const seconds = (context.clock.monotonic() - started) / 1000;
      const reported = await report(context, place, inputs, result, dump, seconds);
      const beside = await keysBesideDoubts(context, { ...place, copies: inputs.copies, recipients });
      const returned = { ...reported, doubts: [...(reported.doubts ?? []), ...beside] };
      return withCopies(context, returned, { place, component, copies: inputs.copies, recipients });
    },
  );
}

interface DumpedBackup {
  place: Place;
  recipients: readonly KeyRecipient[];
  component: string;
  /** The next free second when absent. */
  timestamp: Timestamp | undefined;
  onTimestamp?: ((timestamp: Timestamp) => void) | undefined;
  inputs: Pick<Inputs, 'verify' | 'compression' | 'compressionLevel' | 'maxShrink' | 'include' | 'exclude' | 'limitRate'>;
  dump: MongoDump;
  previous?: ArchiveReport | undefined;
  /** The stores of its copies. */
  copies: readonly Place[] | 'unknown';
  /** Further facts for the manifest's source. */
  source?: Record<string, JsonValue>;
}

/** Writes a dump as a backup. @throws what `writeBackup` throws */
export async function backUpDump(context: StepContext<typeof lockInputs>, backup: DumpedBackup): Promise<BackupResult> {
  const { place, recipients, component, timestamp, onTimestamp, inputs, dump, previous, copies } = backup;
  const { host, clock, signal } = context;
  const { consistency, toolVersion, ...source } = dump.facts;
  const request: BackupRequest<ArchiveReport> = {
    store: place.store,
    prefix: place.prefix,
    component,
    kind: 'mongodb',
    timestamp,
    onTimestamp,
    recipients,
    source: releasing(dump.source),
    newInspector: newArchiveInspector,
    facts: (content) => ({
      source: { ...source, ...selection(inputs), ...backup.source },
      consistency,
      suspect: [...dump.doubts, ...doubtsOf(content, previous, { maxShrinkPercent: inputs.maxShrink })],
    }),
    tools: { lifeboat: project.version, ...(toolVersion === undefined ? {} : { mongodump: toolVersion }) },
    compression: inputs.compression === 'zstd' ? { algorithm: 'zstd', level: inputs.compressionLevel } : { algorithm: 'none' },
    verify: inputs.verify,
    ...(dump.estimate === undefined ? {} : { sizeEstimate: dump.estimate }),
    limitRate: inputs.limitRate,
    copies,
    owner: lockOwner(context),
    lockWait: context.inputs.lockWait,
    clock,
    signal,
    onProgress: (progress) => {
      // While writing, the dump tells more: which collection is in work.
      if (progress.phase === 'Reading back') host.progress(progress);
    },
    onNotice: (message) => {
      host.notice(message);
    },
  };
  try {
    return await writeBackup(request);
  } finally {
    // A dump that nobody began to read (the component was locked) still holds its connection.
    await dump.close();
  }
}

function selection({ include, exclude }: { include: string[] | undefined; exclude: string[] | undefined }): Record<string, JsonValue> {
  return { ...(include ? { include } : {}), ...(exclude ? { exclude } : {}) };
}

/** The report of the last verified backup with the same selection, to compare with; undefined when there is none to trust. */
async function previousReport(
  context: Context,
  { store, prefix }: Place,
  recipients: readonly KeyRecipient[],
  component: string,
  inputs: Inputs,
): Promise<ArchiveReport | undefined> {
  const { host, clock, signal } = context;
  // A store that cannot even be listed takes no backup either: that ends the run here, before anything is dumped.
  const backups = await knownBackups(store, prefix, { component, signal });
  const last = backups.findLast((backup) => backup.state === 'verified' && !isAhead(backup, clock.now()));
  if (!last) return undefined;
  try {
    const { manifest } = await openBackup({ store, prefix, component, timestamp: last.timestamp, recipients, signal });
    const same = (['include', 'exclude'] as const).every(
      (key) => JSON.stringify(manifest.source[key] ?? null) === JSON.stringify(inputs[key] ?? null),
    );
    if (same) return manifest.content as ArchiveReport;
    host.notice(`The selection differs from that of ${last.timestamp}: sizes are not compared with it.`);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    // An old backup that cannot be opened is its own problem; it must not stop a new one.
    host.warning(`The last verified backup cannot be opened to compare with: ${errorMessage(thrown)}`);
  }
  return undefined;
}

function say(context: StepContext, { facts: found, estimate }: MongoDump): void {
  const engine = found.engine === 'tools' ? `mongodump ${found.toolVersion ?? ''}`.trim() : 'the built-in engine';
  const size = estimate === undefined ? '' : `, about ${formatBytes(estimate)}`;
  context.host.info(`Dumping ${found.fingerprint} (${serverText(found)})${size} with ${engine}.`);
  if (found.consistencyReason !== undefined)
    context.host.notice(`Not a single point in time, but collection by collection: ${found.consistencyReason}.`);
}

function serverText({ product, serverVersion, topology }: MongoDump['facts']): string {
  return [`${product ?? 'MongoDB'} ${serverVersion}`, topology].filter((part) => part !== undefined).join(', ');
}

async function report(
  context: Context,
  place: Place,
  inputs: Inputs,
  { component, timestamp, names, manifest, phases, leftoversRemoved }: BackupResult,
  dump: MongoDump,
  seconds: number,
): Promise<StepReturn> {
  const content = manifest.content as ArchiveReport;
  const { documents, namespaces } = content.totals;
  const verified = manifest.verified.level === 'full';
  const writing = phases.find(({ name }) => name === 'writing')?.seconds ?? 0;
  const id = names.folder.replace(/\/$/, '');
  const command = restoreCommand(context, { timestamp, component, name: inputs.name });
  const { setOutput } = context;
  const { store } = place;
  const outlook = await outlookOf(context, place, { component, timestamp });
  const { shown, folded } = outlookParts(outlook);
  setOutput('timestamp', timestamp);
  setOutput('backup', id);
  setOutput('location', store.location);
  setOutput('documents', documents);
  setOutput('plainBytes', manifest.sizes.plain);
  setOutput('storedBytes', manifest.sizes.stored);
  setOutput('verified', String(verified));
  setOutput('seconds', seconds.toFixed(1));

  const suspect = manifest.suspect.length > 0;
  await context.host.summary(
    page(
      heading(
        suspect ? 'doubtful' : 'good',
        `MongoDB backup of ${inputs.name}/${component}, ${timestamp}: ${suspect ? 'DOUBTFUL' : verified ? 'proved restorable' : 'stored, not fully verified'}`,
      ),
      suspect ? manifest.suspect.map((reason) => `- **${reason}**`).join('\n') : undefined,
      facts([
        [
          'What',
          `${plural(documents, 'document')} in ${plural(namespaces, 'collection')} of ${dump.facts.fingerprint} (${serverText(dump.facts)})`,
        ],
        ['Size', `${formatBytes(manifest.sizes.plain)} dumped, ${formatBytes(manifest.sizes.stored)} stored`],
        ['Time', `${formatSeconds(seconds)}; dump and upload ${formatSeconds(writing)} at ${formatRate(manifest.sizes.plain, writing)}`],
        ['Verified', verifiedText(manifest.verified.level)],
        ['Consistency', consistencyText(dump.facts)],
        ['Where', `${id} in ${store.location}`],
        ['Opens with', manifest.keyRecipients.map(({ kind, keyId }) => `${kind} ${keyId}`).join(', ')],
        ...(leftoversRemoved > 0 ? [['Cleaned', `${plural(leftoversRemoved, 'leftover')} of interrupted runs`] as const] : []),
      ]),
      shown,
      'Restore it with',
      commandBlock(command),
      folded,
      details('Collections', table(['collection', 'documents', 'BSON', 'indexes'], collectionRows(content))),
    ),
  );
  return {
    doubts: manifest.suspect,
    result: {
      component,
      timestamp,
      backup: id,
      location: store.location,
      documents,
      collections: namespaces,
      plainBytes: manifest.sizes.plain,
      storedBytes: manifest.sizes.stored,
      verified: manifest.verified.level,
      consistency: manifest.consistency,
      seconds: Number(seconds.toFixed(1)),
      phases: phases.map((phase) => ({ ...phase, seconds: Number(phase.seconds.toFixed(3)) })),
      restore: command,
      ...outlookRecord(outlook),
    },
  };
}

function verifiedText(level: VerifyLevel): string {
  if (level === 'full') return 'read back in full from the store, decrypted, parsed; every count and digest equal';
  return level === 'sample' ? 'a sample was read back and is authentic; the rest was not looked at' : 'NOT read back';
}

function consistencyText({ consistency, consistencyReason }: MongoDump['facts']): string {
  return consistency === 'point-in-time' ? 'all collections of one moment' : `collection by collection: ${consistencyReason ?? ''}`;
}

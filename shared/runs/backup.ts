// What a backup step does, for every kind: source → verify → compress → encrypt → store → read back → commit, and say what came of it.
import project from '../../package.json' with { type: 'json' };
import { writeBackup, type BackupRequest, type BackupResult } from '../backup/write.ts';
import { openBackup } from '../backup/read.ts';
import type { JsonValue } from '../backup/json.ts';
import type { Consistency, VerifyLevel } from '../backup/manifest.ts';
import { knownBackups } from '../catalog/known.ts';
import { isAhead } from '../catalog/list.ts';
import { reportOf, type KindWork, type Source } from '../backup/kind.ts';
import type { AnyKind } from '../kinds/registry.ts';
import type { StepContext, StepReturn } from '../step/define.ts';
import { errorMessage } from '../step/errors.ts';
import { formatBytes, formatRate, formatSeconds, items, plural } from '../step/format.ts';
import { formatTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { releasing } from '../tools/release.ts';
import type { lockInputs } from '../session/inputs.ts';
import type { BackupContext as Context } from './backup-inputs.ts';
import { copyPlaces, withCopies } from './copy.ts';
import { newComponent } from '../session/components.ts';
import { keysBesideDoubts } from '../session/key-place.ts';
import type { Place } from '../backup/place.ts';
import { openKeys, openPlace } from '../session/open.ts';
import { outlookOf, outlookParts, outlookRecord, type OutlookRecord } from './outlook.ts';
import { lockOwner, recorded } from './record.ts';
import { restoreCommand, restoreStepOf } from '../pages/restore-command.ts';
import { commandBlock, details, facts, heading, page, table } from '../pages/summary.ts';

type Inputs = Context['inputs'];

/** What a backup step puts out for machines; the kind's own names of its items and groups are in it, too. */
export interface BackupRecord extends OutlookRecord {
  component: string;
  timestamp: Timestamp;
  /** The folder within the store. */
  backup: string;
  location: string;
  items: { unit: string; count: number };
  plainBytes: number;
  storedBytes: number;
  verified: VerifyLevel;
  consistency: Consistency;
  seconds: number;
  phases: BackupResult['phases'];
  /** The command that restores it. */
  restore: string | undefined;
  [name: string]: unknown;
}

/** Backs up a component. */
export async function runBackup(kind: AnyKind, context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await newComponent(context, kind);
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
      const work = await kind.load();
      const selection = work.selection(context);
      const previous = await previousReport(context, kind, { place, recipients, component, selection });
      const source = await work.openSource(context);
      context.host.info(source.said);
      if (source.notice !== undefined) context.host.notice(source.notice);
      const copies = await copyPlaces(context, inputs.copies);
      const job = { place, recipients, component, timestamp, onTimestamp, inputs, selection, source, previous, copies };
      const result = await backUpSource(context, kind, job);
      const seconds = (context.clock.monotonic() - started) / 1000;
      const reported = await report(context, kind, { place, result, source, seconds });
      const beside = await keysBesideDoubts(context, { ...place, copies: inputs.copies, recipients });
      const returned = { ...reported, doubts: [...(reported.doubts ?? []), ...beside] };
      return withCopies(context, returned, { place, component, copies: inputs.copies, recipients });
    },
  );
}

interface SourceBackup {
  place: Place;
  recipients: readonly KeyRecipient[];
  component: string;
  /** The next free second when absent. */
  timestamp: Timestamp | undefined;
  onTimestamp?: ((timestamp: Timestamp) => void) | undefined;
  inputs: Pick<Inputs, 'verify' | 'compression' | 'compressionLevel' | 'maxShrink' | 'limitRate'>;
  /** What of the thing it is. */
  selection: Record<string, JsonValue | undefined>;
  source: Source;
  /** The report of the last verified backup of the same selection. */
  previous?: JsonValue | undefined;
  /** The stores of its copies. */
  copies: readonly Place[] | 'unknown';
  /** Shows the way of the bytes into the store. A source tells more by itself: what of it is in work. */
  showsWriting?: boolean;
  /** Further facts for the manifest's source. */
  facts?: Record<string, JsonValue>;
}

/** Writes a source as a backup. @throws what `writeBackup` throws */
export async function backUpSource(context: StepContext<typeof lockInputs>, kind: AnyKind, backup: SourceBackup): Promise<BackupResult> {
  const { place, recipients, component, timestamp, onTimestamp, inputs, selection, source, previous, copies } = backup;
  const { host, clock, signal } = context;
  const { newInspector, doubts } = await kind.load();
  const request: BackupRequest = {
    store: place.store,
    prefix: place.prefix,
    component,
    kind: kind.kind,
    timestamp,
    onTimestamp,
    recipients,
    source: releasing(source.bytes),
    newInspector,
    facts: (report) => {
      const { source: found, consistency } = source.facts(report);
      return {
        source: { ...found, ...given(selection), ...backup.facts },
        consistency,
        suspect: [...source.doubts, ...doubts(report, previous, { maxShrinkPercent: inputs.maxShrink })],
      };
    },
    tools: { lifeboat: project.version, ...source.tools },
    compression: inputs.compression === 'zstd' ? { algorithm: 'zstd', level: inputs.compressionLevel } : { algorithm: 'none' },
    verify: inputs.verify,
    sizeEstimate: source.estimate,
    limitRate: inputs.limitRate,
    copies,
    owner: lockOwner(context),
    lockWait: context.inputs.lockWait,
    clock,
    signal,
    onProgress: (progress) => {
      if (backup.showsWriting || progress.phase === 'Reading back') host.progress(progress);
    },
    onNotice: (message) => {
      host.notice(message);
    },
  };
  try {
    return await writeBackup(request);
  } finally {
    // One that was not read at all (the component was locked) still holds its connection.
    await source.close();
  }
}

function given(selection: Record<string, JsonValue | undefined>): Record<string, JsonValue> {
  return Object.fromEntries(Object.entries(selection).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined));
}

/** The report of the last verified backup with the same selection, to compare with; undefined when there is none to trust. */
async function previousReport(
  context: Context,
  kind: AnyKind,
  { place, recipients, component, selection }: Pick<SourceBackup, 'place' | 'recipients' | 'component' | 'selection'>,
): Promise<JsonValue | undefined> {
  const { store, prefix } = place;
  const { host, clock, signal } = context;
  // A store that cannot even be listed takes no backup either: that ends the run here, before anything is read.
  const backups = await knownBackups(store, prefix, { component, signal });
  const last = backups.findLast((backup) => backup.state === 'verified' && !isAhead(backup, clock.now()));
  if (!last) return undefined;
  try {
    const { manifest } = await openBackup({ store, prefix, component, timestamp: last.timestamp, recipients, signal });
    const same = Object.entries(selection).every(
      ([key, value]) => JSON.stringify(manifest.source[key] ?? null) === JSON.stringify(value ?? null),
    );
    if (same) return reportOf(kind, manifest);
    host.notice(`The selection differs from that of ${last.timestamp}: sizes are not compared with it.`);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    // An old backup that cannot be opened is its own problem; it must not stop a new one.
    host.warning(`The last verified backup cannot be opened to compare with: ${errorMessage(thrown)}`);
  }
  return undefined;
}

async function report(
  context: Context,
  kind: AnyKind,
  { place, result, source, seconds }: { place: Place; result: BackupResult; source: Source; seconds: number },
): Promise<StepReturn> {
  const { component, timestamp, names, manifest, phases, leftoversRemoved } = result;
  const work: KindWork = await kind.load();
  const content: JsonValue = reportOf(kind, manifest);
  const { unit, units, groups, group } = work.count(content);
  const folded = work.details(content);
  const verified = manifest.verified.level === 'full';
  const writing = phases.find(({ name }) => name === 'writing')?.seconds ?? 0;
  const id = names.folder.replace(/\/$/, '');
  const restore = restoreStepOf(kind);
  const command = restore && restoreCommand(context, restore, { timestamp, component, name: context.inputs.name });
  const { setOutput } = context;
  const { store } = place;
  const outlook = await outlookOf(context, place, { component, timestamp });
  const { shown, folded: history } = outlookParts(outlook);
  setOutput('timestamp', timestamp);
  setOutput('backup', id);
  setOutput('location', store.location);
  setOutput('items', units);
  // The step's definition has the name of the kind's own unit, too.
  setOutput(unit as 'items', units);
  setOutput('plainBytes', manifest.sizes.plain);
  setOutput('storedBytes', manifest.sizes.stored);
  setOutput('verified', String(verified));
  setOutput('seconds', seconds.toFixed(1));

  const suspect = manifest.suspect.length > 0;
  await context.host.summary(
    page(
      heading(
        suspect ? 'doubtful' : 'good',
        `${kind.noun} backup of ${context.inputs.name}/${component}, ${timestamp}: ${suspect ? 'DOUBTFUL' : verified ? 'proved restorable' : 'stored, not fully verified'}`,
      ),
      suspect ? manifest.suspect.map((reason) => `- **${reason}**`).join('\n') : undefined,
      facts([
        ['What', `${items(units, unit)} in ${plural(groups, group)} of ${source.what}`],
        ['Size', `${formatBytes(manifest.sizes.plain)} dumped, ${formatBytes(manifest.sizes.stored)} stored`],
        ['Time', `${formatSeconds(seconds)}; dump and upload ${formatSeconds(writing)} at ${formatRate(manifest.sizes.plain, writing)}`],
        ['Verified', verifiedText(manifest.verified.level)],
        ['Consistency', source.consistency],
        ['Where', `${id} in ${store.location}`],
        ['Opens with', manifest.keyRecipients.map(({ kind, keyId }) => `${kind} ${keyId}`).join(', ')],
        ...(leftoversRemoved > 0 ? [['Cleaned', `${plural(leftoversRemoved, 'leftover')} of interrupted runs`] as const] : []),
      ]),
      shown,
      command === undefined ? undefined : 'Restore it with',
      command === undefined ? undefined : commandBlock(command),
      history,
      details(folded.title, table(folded.head, folded.rows)),
    ),
  );
  const record: BackupRecord = {
    component,
    timestamp,
    backup: id,
    location: store.location,
    items: { unit, count: units },
    [unit]: units,
    [kind.groups]: groups,
    plainBytes: manifest.sizes.plain,
    storedBytes: manifest.sizes.stored,
    verified: manifest.verified.level,
    consistency: manifest.consistency,
    seconds: Number(seconds.toFixed(1)),
    phases: phases.map((phase) => ({ ...phase, seconds: Number(phase.seconds.toFixed(3)) })),
    restore: command,
    ...outlookRecord(outlook),
  };
  return { doubts: manifest.suspect, result: record };
}

function verifiedText(level: VerifyLevel): string {
  if (level === 'full') return 'read back in full from the store, decrypted, parsed; every count and digest equal';
  return level === 'sample' ? 'a sample was read back and is authentic; the rest was not looked at' : 'NOT read back';
}

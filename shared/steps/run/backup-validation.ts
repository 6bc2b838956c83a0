// What `backup-validation` does: proves stored backups, one after the other, and says which one failed and where.
import { pickBackup } from '../../catalog/pick.ts';
import { listBackups, type ListedBackup } from '../../catalog/list.ts';
import { openBackup, verifyBackup } from '../../backup/read.ts';
import { markInUse } from '../../catalog/in-use.ts';
import type { NewInspector } from '../../backup/inspector.ts';
import type { StepReturn } from '../../step/define.ts';
import { UserError, VerificationError } from '../../step/errors.ts';
import { formatBytes, formatRate, formatSeconds, plural } from '../../step/format.ts';
import { StoreError } from '../../stores/errors.ts';
import type { KeyRecipient } from '../../vaults/vault.ts';
import type { Context } from '../backup-validation/inputs.ts';
import { openKeys, type Place } from './open.ts';
import { openReadingPlaces } from './reading-places.ts';
import { recorded, type RunNotes } from './record.ts';
import { page, table } from './summary.ts';

type Inputs = Context['inputs'];

interface Checked {
  component: string;
  timestamp: string;
  seconds: number;
  plainBytes: number;
  documents?: number;
  storedBytes: number;
  openedWith?: string;
  /** Somebody who was asked could not open it, but another one could. */
  doubt?: string;
  problem?: string;
}

/** The inspector of each kind of backup. */
const INSPECTORS: Partial<Record<string, () => Promise<NewInspector>>> = {
  mongodb: async () => (await import('../../mongodb/archive-inspector.ts')).newArchiveInspector,
};

export async function runBackupValidation(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const run = { component: inputs.component };
  return recorded(
    context,
    async () => (await openReadingPlaces(context))[0],
    run,
    (place, notes) => validate(context, inputs, place, notes),
  );
}

async function validate(context: Context, inputs: Inputs, place: Place, notes: RunNotes): Promise<StepReturn> {
  const { host, clock } = context;
  const started = clock.monotonic();
  const recipients = await openKeys(context);
  const chosen = await choose(context, inputs, place);
  const backups = chosen.filter(({ offline }) => offline === undefined);
  const skipped = chosen.filter(({ offline }) => offline !== undefined).map((backup) => archivedText(backup, place));
  for (const text of skipped) host.notice(text);
  const checked: Checked[] = [];
  for (const backup of backups) {
    const release = await kept(context, place, backup);
    if (!release) continue;
    try {
      checked.push(await check(context, inputs, place, recipients, backup));
    } finally {
      await release();
    }
  }

  const failed = checked.filter(({ problem }) => problem !== undefined);
  const nameOf = ({ component, timestamp }: Checked): string => `${component}/${timestamp}`;
  // Only who read everything clears a backup that was found bad before.
  const clears = inputs.depth === 'full' && inputs.subset === undefined;
  const good = clears ? checked.filter(({ problem }) => problem === undefined).map(nameOf) : [];
  notes.badBackups = failed.map(nameOf);
  notes.goodBackups = good;
  const seconds = (clock.monotonic() - started) / 1000;
  context.setOutput('checked', checked.length);
  context.setOutput('failed', failed.length);
  context.setOutput('timestamp', backups[backups.length - 1]?.timestamp ?? '');
  context.setOutput('seconds', seconds.toFixed(1));
  await host.summary(page(summary(checked, failed.length, inputs, place), skipped.map((text) => `- ${text}`).join('\n')));
  if (failed.length > 0) {
    throw new VerificationError(
      failed.length === 1
        ? (failed[0]?.problem as string)
        : `${plural(failed.length, 'backup')} of ${checked.length} failed:\n${failed.map(({ problem }) => `- ${problem as string}`).join('\n')}`,
      { fix: 'Do not restore from it. Make a new backup now, and look at the copies of the damaged one.' },
    );
  }
  const doubts = checked.flatMap(({ doubt }) => doubt ?? []);
  if (checked.length === 0) doubts.push(`Nothing was validated. ${skipped.join(' ')}`);
  return { doubts, result: { depth: inputs.depth, ...(inputs.subset === undefined ? {} : { subset: inputs.subset }), checked } };
}

/** Keeps retention away while a backup is read, where the store may be written to; undefined when retention was first: nobody needs it any more. */
async function kept({ host, signal }: Context, place: Place, { component, timestamp }: ListedBackup) {
  try {
    return await markInUse(place, { component, timestamp, what: 'validated', by: host.run, signal });
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof StoreError)) throw thrown;
    host.notice(thrown.message);
    return undefined;
  }
}

/** Bringing a backup back costs money and hours: that is for whoever restores it. */
function archivedText({ component, timestamp, offline }: ListedBackup, { store }: Place): string {
  const where = offline === 'archived' ? 'lies in the archive tier' : 'is being brought back from the archive tier';
  return `${component} ${timestamp} is not read: it ${where} of ${store.location}.`;
}

async function choose(context: Context, inputs: Inputs, { store, prefix }: Place): Promise<ListedBackup[]> {
  const { component, type, timestamp, days } = inputs;
  const { signal, clock } = context;
  if (timestamp !== undefined && component !== undefined) {
    return [(await pickBackup({ store, prefix, component, timestamp, signal })).backup];
  }
  const since = days === undefined ? {} : { since: new Date(clock.now().getTime() - days * 86_400_000) };
  const all = (await listBackups(store, prefix, { ...(component === undefined ? {} : { component }), ...since, signal })).filter(
    (backup) =>
      backup.state !== 'leftover' &&
      backup.state !== 'pruning' &&
      (type === 'all' || backup.kind === type) &&
      (timestamp === undefined || backup.timestamp === timestamp),
  );
  if (all.length === 0) {
    throw new UserError(`There is no backup to validate in ${store.location}, below ${prefix}.`, {
      fix: `Check ${context.host.spell('store')}, ${context.host.spell('name')} and ${context.host.spell('component')}; list-backups shows what is there.`,
    });
  }
  if (days !== undefined || timestamp !== undefined) return all;
  // Sorted oldest first: the last of each component stays.
  return [...new Map(all.map((backup) => [backup.component, backup])).values()];
}

async function check(
  context: Context,
  { depth, subset }: Inputs,
  { store, prefix }: Place,
  recipients: readonly KeyRecipient[],
  { component, timestamp, kind, dataBytes }: ListedBackup,
): Promise<Checked> {
  const { host, clock, signal } = context;
  const started = clock.monotonic();
  let doubt: string | undefined;
  const onNotice = (message: string): void => {
    doubt = message;
  };
  const request = { store, prefix, component, timestamp, recipients, signal, onNotice };
  const done = (rest: Omit<Checked, 'component' | 'timestamp' | 'seconds' | 'storedBytes'>): Checked => ({
    component,
    timestamp,
    storedBytes: dataBytes,
    seconds: (clock.monotonic() - started) / 1000,
    ...(doubt === undefined ? {} : { doubt }),
    ...rest,
  });
  const onProgress = (bytes: number): void => {
    host.progress({ phase: 'Reading back', done: bytes, total: dataBytes, unit: 'bytes', detail: `${component} ${timestamp}` });
  };
  try {
    if (subset !== undefined) {
      const [part, of] = subset.split('/').map(Number) as [number, number];
      const read = await verifyBackup({
        ...request,
        newInspector: noInspector,
        level: 'sample',
        sample: { part: part - 1, of },
        onProgress,
      });
      return done({ plainBytes: read.storedBytesRead, openedWith: read.recipient.location });
    }
    const inspector = depth === 'full' && kind !== undefined ? await INSPECTORS[kind]?.() : undefined;
    if (inspector) {
      const { manifest, recipient } = await verifyBackup({ ...request, newInspector: inspector, onProgress });
      const documents = (manifest.content as { totals?: { documents?: number } } | null)?.totals?.documents;
      return done({ plainBytes: manifest.sizes.plain, openedWith: recipient.location, ...(documents === undefined ? {} : { documents }) });
    }
    const opened = await openBackup(request);
    await drain(opened.plain({ signal, onProgress }));
    return done({ plainBytes: opened.manifest.sizes.plain, openedWith: opened.recipient.location });
  } catch (thrown) {
    if (!(thrown instanceof VerificationError)) throw thrown;
    host.error(thrown.message);
    return done({ plainBytes: 0, problem: thrown.message });
  }
}

/** A subset proves stored regions; what is in them is not looked at. */
function noInspector(): never {
  throw new Error('a subset has no content to inspect');
}

/** Reads to the end: what arrives has been proved on the way. */
async function drain(bytes: AsyncGenerator<Uint8Array>): Promise<void> {
  while (!(await bytes.next()).done);
}

function summary(checked: readonly Checked[], failed: number, { depth, subset }: Inputs, { store }: Place): string {
  const what =
    subset !== undefined
      ? `part ${subset} of the stored bytes`
      : depth === 'full'
        ? 'every byte and every document'
        : 'every stored byte, not the documents';
  return page(
    failed === 0
      ? `### ${plural(checked.length, 'backup')} validated: ${what}`
      : `### ${plural(failed, 'backup')} of ${checked.length} FAILED validation`,
    table(
      ['timestamp', 'component', 'verdict', 'stored', 'documents', 'time', 'speed'],
      checked.map((row) => [
        row.timestamp,
        row.component,
        row.problem === undefined ? 'good' : `FAILED: ${row.problem}`,
        formatBytes(row.storedBytes),
        row.documents === undefined ? '-' : row.documents.toLocaleString('en-US'),
        formatSeconds(row.seconds),
        row.problem === undefined ? formatRate(row.plainBytes, row.seconds) : '-',
      ]),
    ),
    `In ${store.location}.`,
  );
}

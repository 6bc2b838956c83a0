// Proves one stored backup for `backup-validation`: what to look for, its opened manifest says, never a listing.
import { reportOf } from '../backup/kind.ts';
import type { Manifest } from '../backup/manifest.ts';
import { repairMetadata, type MetadataError } from '../backup/metadata-check.ts';
import type { Kinds } from '../kinds/registry.ts';
import { openBackup, proveBackup, type OpenedBackup } from '../backup/read.ts';
import type { ListedBackup } from '../catalog/list.ts';
import type { Host } from '../step/host.ts';
import { errorMessage, UserError, VerificationError, withFix } from '../step/errors.ts';
import type { StepContext } from '../step/define.ts';
import type { Clock } from '../tools/clock.ts';
import { KeyMissingError } from '../vaults/errors.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { Place } from '../backup/place.ts';

/**
 * - `good`: what was looked at is what was written.
 * - `unknown`: its bytes are good, but this version does not know its kind, so that its content was not looked at.
 * - `metadata`: data and manifest are good, what lies beside them is not.
 * - `damaged`, `keyless`: it cannot be restored from this store, or by the keys that were given.
 * - `unread`: store or vault did not give what is needed to tell.
 */
export type Verdict = 'good' | 'unknown' | 'metadata' | 'damaged' | 'keyless' | 'unread';

/** What became of one backup. */
export interface Checked {
  component: string;
  timestamp: string;
  verdict: Verdict;
  seconds: number;
  plainBytes: number;
  items?: { unit: string; count: number } | undefined;
  /** The same of a backup of documents, as older versions put it out. */
  documents?: number | undefined;
  storedBytes: number;
  openedWith?: string | undefined;
  /** What a person should know of one that is good. */
  doubt?: string | undefined;
  /** What is wrong, as a sentence. */
  problem?: string | undefined;
  /** Its metadata were written anew. */
  repaired?: true | undefined;
  /** Read to its last document, and equal to its manifest. */
  proved: boolean;
  error?: UserError | undefined;
}

export interface ProofJob {
  context: StepContext;
  /** The kinds that this version knows. */
  kinds: Kinds;
  place: Place;
  recipients: readonly KeyRecipient[];
  depth: 'stored' | 'full';
  /** `n/t`: only that part of the stored data. */
  subset: string | undefined;
  /** Metadata that are lost or wrong are written anew when the rest is good. */
  repair: boolean;
  host: Host;
  clock: Clock;
  signal: AbortSignal;
}

/** Reads and proves a backup. What is wrong with it is in the result. @throws only what is no fault of the backup: a cancel, a bug */
export async function checkBackup(job: ProofJob, { component, timestamp, dataBytes }: ListedBackup): Promise<Checked> {
  const { place, recipients, host, clock, signal } = job;
  const { store, prefix } = place;
  const started = clock.monotonic();
  const doubts: string[] = [];
  const onNotice = (message: string): void => {
    if (!doubts.includes(message)) doubts.push(message);
  };
  const done = (rest: Pick<Checked, 'verdict'> & Partial<Checked>): Checked => ({
    ...{ component, timestamp, storedBytes: dataBytes, plainBytes: 0, proved: false },
    seconds: (clock.monotonic() - started) / 1000,
    doubt: doubts.length === 0 ? undefined : doubts.join(' '),
    ...rest,
  });
  const onProgress = (bytes: number): void => {
    host.progress({ phase: 'Reading back', done: bytes, total: dataBytes, unit: 'bytes', detail: `${component} ${timestamp}` });
  };
  try {
    const opened = await openBackup({ store, prefix, component, timestamp, recipients, signal, onNotice });
    let fault: MetadataError | undefined;
    const onMetadata = (found: MetadataError): void => {
      fault = found;
    };
    const read = await prove(job, opened, { onProgress, onMetadata });
    const facts = { ...read, openedWith: opened.recipient.location };
    if (!read.known) onNotice(unknownText(opened.manifest));
    const verdict = read.known ? 'good' : 'unknown';
    if (!fault) return done({ ...facts, verdict, doubt: doubts.length === 0 ? undefined : doubts.join(' ') });
    if (job.repair) {
      fault = await repair(job, opened, fault);
      if (!fault) return done({ ...facts, verdict, repaired: true, doubt: doubts.length === 0 ? undefined : doubts.join(' ') });
    }
    host.error(fault.message);
    return done({ ...facts, verdict: 'metadata', problem: fault.message, error: fault });
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof UserError)) throw thrown;
    host.error(thrown.message);
    const verdict = thrown instanceof VerificationError ? 'damaged' : thrown instanceof KeyMissingError ? 'keyless' : 'unread';
    return done({ verdict, problem: thrown.message, error: thrown });
  }
}

interface Read {
  /** What was read of the content, or of the stored bytes. */
  plainBytes: number;
  items?: Checked['items'];
  documents?: number | undefined;
  /** This version knows its kind. */
  known: boolean;
  proved: boolean;
}

async function prove(
  { context, kinds, depth, subset, signal }: ProofJob,
  opened: OpenedBackup,
  tell: { onProgress: (bytes: number) => void; onMetadata: (fault: MetadataError) => void },
): Promise<Read> {
  const { manifest } = opened;
  const kind = kinds.find(manifest.kind);
  const known = kind !== undefined;
  if (subset !== undefined) {
    const [part, of] = subset.split('/').map(Number) as [number, number];
    const sample = { part: part - 1, of };
    const { storedBytesRead } = await proveBackup(opened, { ...tell, newInspector: noInspector, level: 'sample', sample, signal });
    return { plainBytes: storedBytesRead, known, proved: false };
  }
  if (depth === 'full' && kind) {
    const { newInspector, count, outside } = await kind.load();
    await proveBackup(opened, { ...tell, newInspector, signal });
    const report = reportOf(kind, manifest);
    const missing = (await outside?.missing(report, context)) ?? [];
    if (missing.length > 0) throw outsideMissing(manifest, missing);
    const { unit, units } = count(report);
    const items = { unit, count: units };
    return { plainBytes: manifest.sizes.plain, items, documents: unit === 'documents' ? units : undefined, known, proved: true };
  }
  const fault = await opened.metadataFault();
  if (fault) tell.onMetadata(fault);
  // What arrives has been proved on the way.
  const plain = opened.plain({ signal, onProgress: tell.onProgress, reuse: true });
  while (!(await plain.next()).done);
  return { plainBytes: manifest.sizes.plain, known, proved: false };
}

function outsideMissing({ component, timestamp }: Manifest, missing: readonly string[]): VerificationError {
  return new VerificationError(`${component} ${timestamp} is not whole: ${missing.join(', ')}.`, {
    fix: 'What lies outside of the store was removed by something else. Make a new backup now.',
  });
}

/** A subset proves stored regions; what is in them is not looked at. */
function noInspector(): never {
  throw new Error('a subset has no content to inspect');
}

function unknownText({ component, timestamp, kind }: Manifest): string {
  return `${component} ${timestamp} is of the kind ${kind}, which this version of Lifeboat does not know: its bytes are good, its content was not looked at. Use a newer version.`;
}

/** @returns what is still wrong afterwards */
async function repair({ place, host, signal }: ProofJob, opened: OpenedBackup, fault: MetadataError): Promise<MetadataError | undefined> {
  try {
    await repairMetadata(place.store, opened, signal);
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof UserError)) throw thrown;
    host.error(`The metadata of ${opened.names.folder} could not be written: ${errorMessage(thrown)}`);
    return fault;
  }
  const left = await opened.metadataFault();
  if (!left) host.notice(`Mended: ${fault.message} They were written anew from the manifest.`);
  return left;
}

/** What to do about backups that failed, each advice once. */
export function adviceFor(failed: readonly Checked[]): string {
  const advice: Record<Verdict, string | undefined> = {
    good: undefined,
    unknown: undefined,
    metadata: 'Where only the metadata are wrong, backup-validation with repair writes them anew from the manifest.',
    damaged: 'Do not restore from a damaged one: make a new backup now, and look for a copy of it in another store.',
    keyless:
      'Without its key a backup cannot be opened: recover the key in the vault, give another recipient such as the escrow key, and make a new backup now.',
    unread: undefined,
  };
  const [only] = failed;
  const own = failed.length === 1 ? only?.error?.fix : undefined;
  const texts = [...new Set(failed.flatMap(({ verdict }) => advice[verdict] ?? []))];
  if (own !== undefined && (only?.verdict !== 'damaged' || texts.length === 0)) return own;
  return texts.length === 0 ? withFix(only?.error) : texts.join(' ');
}

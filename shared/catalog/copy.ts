// Copies of backups in further stores: the same bytes, proved from the copy's own bytes, the manifest last.
import { createHash } from 'node:crypto';
import { recordCopies } from '../backup/copy-record.ts';
import { backupNames, lockName } from '../backup/layout.ts';
import { cleanLeftovers, listEntries } from '../backup/leftovers.ts';
import type { Place } from '../backup/place.ts';
import { MAX_MANIFEST_BYTES, parseManifest, type Manifest } from '../backup/manifest.ts';
import { metadataFault, type MetadataError } from '../backup/metadata-check.ts';
import { dataMetadata, manifestMetadata } from '../backup/metadata.ts';
import { openBackup } from '../backup/read.ts';
import { errorMessage, UserError, VerificationError, withFix } from '../step/errors.ts';
import { formatBytes } from '../step/format.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { lockInTurn } from '../stores/lock-wait.ts';
import type { Lock, LockOptions } from '../stores/store.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { markInUse } from './in-use.ts';
import { knownBackups, WHOLE } from './known.ts';
import type { ListedBackup } from './list.ts';
import { applyRules, type RetentionRules } from './retention.ts';
import { settleTier } from './settle.ts';

const LOCK_EXPIRY_MS = 60_000;
/** What `origin` says in a copy's metadata: its keys belong to the original. */
const COPY = 'copy';

export interface CopyRequest {
  from: Place;
  to: Place;
  component: string;
  /** Opens the manifests, which proves them. Without any the copy is held against a manifest that is only read. */
  recipients: readonly KeyRecipient[];
  /**
   * Backups before this moment are copied only when they are newer than the newest copy: older gaps are what the retention of the copies has
   * made. Everything when absent.
   */
  since?: Date;
  /**
   * What retention keeps where the copies go. Of the days after `since`, only backups that it would keep are copied: else those that it
   * removed come back every night, and go again.
   */
  rules?: RetentionRules | undefined;
  /** These are copied in any case, such as one that was just imported under its old timestamp. */
  always?: readonly Timestamp[];
  /** Who copies: shown to a run that finds the component locked. */
  owner: string;
  /** Milliseconds to wait for another run that is at work there; refused at once when absent. */
  lockWait?: number | undefined;
  now: Date;
  signal: AbortSignal;
  /** What a person should know: an expired lock that was taken over, leftovers that could not be removed. */
  onNotice?: (message: string) => void;
  onProgress?: (timestamp: Timestamp, phase: 'copying' | 'reading back', done: number, total: number) => void;
}

export interface CopyResult {
  /** The store of the originals has no backup of the component, in whatever state. */
  nothing?: true | undefined;
  copied: { timestamp: Timestamp; bytes: number }[];
  failed: { timestamp: Timestamp; reason: string }[];
  /** Originals that cannot be read for now: they are archived. */
  skipped: { timestamp: Timestamp; reason: string }[];
  /** Copies that were damaged, or that a run had found so, now made anew and proved. */
  renewed?: Timestamp[] | undefined;
  /** Originals whose metadata is not what their manifest says. Their copies have the right one. */
  faults?: { timestamp: Timestamp; reason: string }[];
  /** Age of the oldest backup that should have a copy and has none, milliseconds; 0 when all have. */
  lagMs: number;
}

/**
 * Brings a store's copies of a component up to date, oldest first. One that fails does not keep the others from being copied. May be killed
 * at any moment and run again: what has no manifest is not a backup, and is copied anew.
 * @throws LockedError when another run copies or backs up there; StoreError when a store cannot be listed
 */
export async function copyBackups(request: CopyRequest): Promise<CopyResult> {
  const { from, to, component, signal } = request;
  const originals = await knownBackups(from.store, from.prefix, { component, signal });
  const result: CopyResult = { copied: [], failed: [], skipped: [], lagMs: 0 };
  if (originals.every(({ state }) => state === 'leftover')) {
    result.nothing = true;
    // Nothing can be missing, and no store for copies is made.
    if ((await listEntries(to.store, to.prefix, component, signal)).length === 0) return result;
  }
  const options: LockOptions = {
    owner: request.owner,
    expiresAfter: LOCK_EXPIRY_MS,
    resumable: true,
    onTakeover: (previous) => request.onNotice?.(`Took over the expired lock of ${component} in ${to.store.location} from ${previous}.`),
    signal,
  };
  const lock = await lockInTurn(to.store, lockName(to.prefix, component), options, request);
  const held = { ...request, signal: AbortSignal.any([signal, lock.lost]) };
  try {
    await tidy(held);
    // First of all: from here on neither store's retention forgets a key that the other one's copies need.
    if (originals.length > 0) await recordCopies(from, to, component, request.now, held.signal);
    const copies = new Map((await knownBackups(to.store, to.prefix, { component, signal })).map((copy) => [copy.timestamp, copy]));
    for (const original of missing(originals, copies, request)) {
      if (original.offline !== undefined) {
        result.skipped.push({ timestamp: original.timestamp, reason: `it lies in the archive tier of ${from.store.location}.` });
        result.lagMs = Math.max(result.lagMs, request.now.getTime() - original.time.getTime());
        continue;
      }
      try {
        const there = copies.get(original.timestamp);
        const fault = await copyMarked(held, original, there);
        if (fault) (result.faults ??= []).push({ timestamp: original.timestamp, reason: withFix(fault) });
        if (there !== undefined && there.state !== 'leftover') (result.renewed ??= []).push(original.timestamp);
        result.copied.push({ timestamp: original.timestamp, bytes: original.dataBytes });
      } catch (thrown) {
        if (signal.aborted || lock.lost.aborted) throw reasonOf(thrown, lock);
        result.failed.push({ timestamp: original.timestamp, reason: errorMessage(thrown) });
        result.lagMs = Math.max(result.lagMs, request.now.getTime() - original.time.getTime());
      }
    }
    await settle(held);
    return result;
  } finally {
    await lock.release();
  }
}

/** Removes what killed runs left where the copies are: no one else may ever write there. Never a backup that was made there, nor its data. */
async function tidy({ to, component, now, signal, onNotice }: CopyRequest): Promise<void> {
  const entries = await listEntries(to.store, to.prefix, component, signal);
  const copies = entries.filter(({ files }) => files.get('data')?.metadata['origin'] === COPY);
  const { notices } = await cleanLeftovers({ ...to, component, recipients: [], copies: [], now, signal }, copies);
  for (const notice of notices) onNotice?.(notice);
}

/** Copies that are proved go to the tier of their store. One that stays where it was written is as good, and dearer. */
async function settle({ to, component, now, signal, onNotice }: CopyRequest): Promise<void> {
  const { failed } = await settleTier(to, { component, now, signal });
  for (const { timestamp, reason } of failed) onNotice?.(`The copy of ${timestamp} could not be moved to its tier: ${reason}`);
}

function reasonOf(thrown: unknown, { lost }: Lock): unknown {
  return lost.aborted ? lost.reason : thrown;
}

/** The backups that should have a copy and have none that is whole. */
function missing(
  originals: readonly ListedBackup[],
  copies: ReadonlyMap<Timestamp, ListedBackup>,
  { since, always = [], rules, now }: Pick<CopyRequest, 'since' | 'always' | 'rules' | 'now'>,
): ListedBackup[] {
  const worthwhile =
    since && rules ? keptBy(rules, [...originals.filter(({ timestamp }) => !copies.has(timestamp)), ...copies.values()], now) : undefined;
  const newest = [...copies.values()].reduce((latest, copy) => (isWhole(copy) ? Math.max(latest, copy.time.getTime()) : latest), -Infinity);
  return originals.filter((original) => {
    const copy = copies.get(original.timestamp);
    if (!isWhole(original) || (copy && isWhole(copy) && copy.dataBytes === original.dataBytes)) return false;
    const stays = worthwhile?.has(original.timestamp) ?? true;
    const isNew = since === undefined || (original.time >= since && stays) || original.time.getTime() > newest;
    return copy !== undefined || isNew || always.includes(original.timestamp);
  });
}

/** What stays once all of these are there. Retention counts only the verified ones; a doubtful one stays besides, never instead. */
function keptBy(rules: RetentionRules, backups: readonly ListedBackup[], now: Date): Set<Timestamp> {
  const whole = backups.filter(isWhole);
  const decisions = [whole, whole.filter(({ state }) => state === 'verified')].flatMap((some) => applyRules(some, rules, now));
  return new Set(decisions.filter(({ keep }) => keep).map(({ item }) => item.timestamp));
}

function isWhole({ state }: ListedBackup): boolean {
  return WHOLE.has(state);
}

/** Copies while retention stays away from the original: the store it lies in is not locked, so that the next backup can be made meanwhile. */
async function copyMarked(
  request: CopyRequest,
  original: ListedBackup,
  there: ListedBackup | undefined,
): Promise<MetadataError | undefined> {
  const { from, to, component, owner, signal } = request;
  const what = `copied to ${to.store.location}`;
  const release = await markInUse(from, { component, timestamp: original.timestamp, what, by: { id: owner }, signal });
  try {
    return await copyOne(request, original, there);
  } finally {
    await release();
  }
}

/** Order of commit: data → data read back from the copy → manifest → manifest read back. */
async function copyOne(request: CopyRequest, original: ListedBackup, there: ListedBackup | undefined): Promise<MetadataError | undefined> {
  const { from, to, component, recipients, signal } = request;
  const { timestamp } = original;
  const source = backupNames(from.prefix, component, timestamp);
  const target = backupNames(to.prefix, component, timestamp);
  const { bytes, manifest } = await readOriginal(request, timestamp);
  if (there) await clear(request, timestamp);
  const [dataInfo, manifestInfo] = [await from.store.stat(source.data, signal), await from.store.stat(source.manifest, signal)];
  if (!dataInfo || !manifestInfo) throw new UserError(`${component} ${timestamp} was removed from ${from.store.location} meanwhile.`);
  const { stored } = manifest.sizes;
  const progress = (phase: 'copying' | 'reading back') => (done: number) => request.onProgress?.(timestamp, phase, done, stored);
  await to.store.put(
    target.data,
    checked(from.store.open(source.data, { signal, reuse: true }), manifest, `${source.data} in ${from.store.location}`),
    {
      ifAbsent: true,
      sizeEstimate: stored,
      contentType: 'application/octet-stream',
      metadata: { ...dataMetadata(manifest, manifest.attempt ?? dataInfo.metadata['attempt'] ?? 'copied'), origin: COPY },
      onProgress: progress('copying'),
      // What comes from an earlier run is proved with the rest when the copy is read back.
      resume: {
        identity: `${manifest.sha256} ${stored}`,
        from: (offset) => {
          request.onNotice?.(
            `The copy of ${timestamp} to ${to.store.location} goes on where it was interrupted, at ${formatBytes(offset)} of ${formatBytes(stored)}.`,
          );
          return from.store.open(source.data, { offset, signal, reuse: true });
        },
      },
      signal,
    },
  );
  const told = progress('reading back');
  let read = 0;
  for await (const chunk of checked(
    to.store.open(target.data, { signal, reuse: true }),
    manifest,
    `The copy ${target.data} in ${to.store.location}`,
  ))
    told((read += chunk.length));
  const metadata = { ...manifestMetadata(manifest), origin: COPY };
  await to.store.write(target.manifest, bytes, { ifAbsent: true, contentType: 'application/json', metadata, signal });
  const written = await to.store.read(target.manifest, { maxBytes: MAX_MANIFEST_BYTES, signal });
  if (written === undefined || !Buffer.from(written).equals(bytes))
    throw new VerificationError(`The copy ${target.manifest} in ${to.store.location} is not what was written.`);
  if (recipients.length > 0) await openBackup({ ...to, component, timestamp, recipients, signal });
  return metadataFault(from.store, { names: source, manifest }, signal);
}

/** The original's manifest: proved by its key where one is at hand, else only read. */
async function readOriginal({ from, component, recipients, signal }: CopyRequest, timestamp: Timestamp) {
  const { manifest: name } = backupNames(from.prefix, component, timestamp);
  const label = `${component} ${timestamp} (${name})`;
  const bytes = await from.store.read(name, { maxBytes: MAX_MANIFEST_BYTES, signal });
  if (bytes === undefined) throw new UserError(`${label} was removed from ${from.store.location} meanwhile.`);
  const { manifest } = parseManifest(bytes, label);
  if (manifest.component !== component || manifest.timestamp !== timestamp)
    throw new VerificationError(`${label} belongs to another backup: ${manifest.component} ${manifest.timestamp}.`);
  if (recipients.length === 0) return { bytes: Buffer.from(bytes), manifest };
  const proved = await openBackup({ ...from, component, timestamp, recipients, signal });
  if (proved.manifest.sha256 !== manifest.sha256) throw new VerificationError(`${label} was replaced while it was read.`);
  return { bytes: Buffer.from(bytes), manifest };
}

/** Removes what an interrupted copy left, or a copy that was damaged: the manifest first. Never a backup that was made there. */
async function clear({ to, component, signal }: CopyRequest, timestamp: Timestamp): Promise<void> {
  const names = backupNames(to.prefix, component, timestamp);
  const infos = [await to.store.stat(names.manifest, signal), await to.store.stat(names.data, signal)].filter((info) => info !== undefined);
  // Damage may have taken the metadata of one of them.
  const origins = infos.flatMap(({ metadata }) => metadata['origin'] ?? []);
  const [first] = infos;
  if (first && (origins.length === 0 || origins.some((origin) => origin !== COPY))) {
    throw new UserError(`${first.name} in ${to.store.location} is not a copy, and is not overwritten.`, {
      fix: 'Two sources seem to use one folder: give them different names or stores.',
    });
  }
  await to.store.delete(names.manifest, signal);
  await to.store.delete(names.data, signal);
}

/** The same stream; throws at its end unless it is the data object of the manifest. */
async function* checked(bytes: AsyncIterable<Uint8Array>, { sizes, sha256 }: Manifest, what: string): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    read += chunk.length;
    yield chunk;
  }
  if (read !== sizes.stored) throw new VerificationError(`${what} is ${read} bytes; the manifest says ${sizes.stored}.`);
  if (hash.digest('hex') !== sha256) throw new VerificationError(`${what} is damaged: its SHA-256 is not the manifest's.`);
}

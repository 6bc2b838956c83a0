// Removes backups that retention decided against: data, manifest and keys as one unit, keys last. A run that is killed between any two
// steps is finished by the next one.
//
// Order for one backup: marker → data → manifest → keys → marker. The marker (`prune.json`) holds what is needed to go on when data and
// manifest are gone, and tells every other run that what is left is neither a backup nor the leftover of an interrupted one.
import { z } from 'zod';
import { errorMessage, UserError } from '../step/errors.ts';
import type { RunIdentity } from '../step/host.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { forgetAll } from '../backup/content-key.ts';
import { backupNames } from '../backup/layout.ts';
import type { Place } from '../backup/place.ts';
import { keysSchema, wrappedKeysOf } from '../backup/metadata.ts';
import type { ObjectInfo } from '../stores/store.ts';
import type { KeyRecipient, WrappedKey } from '../vaults/vault.ts';
import { dataElsewhere, type PlaceOfRecord } from '../backup/elsewhere.ts';
import { isDiskFull } from '../tools/file-errors.ts';
import { holdsAt, holdsOn, releaseHolds } from './hold.ts';

export interface PruneRequest {
  /** The store to remove from. Its lock on the component is held by the caller. */
  place: Place;
  component: string;
  /** Every other store that may have the same backups: a key stays while one of them has the data. */
  others: readonly Place[];
  /** True when `others` is complete, as dr.yml says it; otherwise the key of a copy stays unless a record says where its original was. */
  othersKnown: boolean;
  /** Opens stores that only the records of copies name; absent: their keys stay. */
  openRecorded?: PlaceOfRecord | undefined;
  recipients: readonly KeyRecipient[];
  /**
   * Removes what of the backup lies outside of every store, such as snapshots of disks. Asked while data and manifest are whole, and only when no
   * other store has them; idempotent. Absent for kinds that keep everything in the store.
   */
  forgetOutside?: ((timestamp: Timestamp) => Promise<void>) | undefined;
  /** Who removes, for the marker. */
  by: RunIdentity;
  now: Date;
  signal?: AbortSignal | undefined;
}

export interface PruneOutcome {
  timestamp: Timestamp;
  /**
   * - `removed`: nothing of it is left in this store, and its keys are gone or still needed elsewhere.
   * - `stays`: the store would not delete it; it is whole.
   * - `unfinished`: part of it is gone; the next run goes on.
   */
  result: 'removed' | 'stays' | 'unfinished';
  /** Per-backup keys that were deleted. */
  keysForgotten: number;
  /** Why it stays or is unfinished, or what a person should know. */
  notice?: string | undefined;
}

const markerSchema = z.object({ formatVersion: z.literal(1), origin: z.string(), keys: keysSchema });

interface Marker {
  origin: string;
  keys: WrappedKey[];
}

/** Removes one backup, or finishes the removal that was interrupted. Idempotent. @throws only when it is cancelled */
export async function pruneBackup(request: PruneRequest, timestamp: Timestamp): Promise<PruneOutcome> {
  const { store, prefix } = request.place;
  const { signal } = request;
  const names = backupNames(prefix, request.component, timestamp);
  let touched = false;
  try {
    const files = new Map<string, ObjectInfo>();
    for await (const info of store.list(names.folder, signal)) files.set(info.name, info);
    if (files.size === 0) return { timestamp, result: 'removed', keysForgotten: 0 };
    const whole = files.has(names.data) && files.has(names.manifest);
    touched = !whole;
    const before = new Map(files);
    let marker = whole || !files.has(names.prune) ? await markOrFull(request, timestamp, before) : await readMarker(request, names.prune);
    const held = whole ? await heldSince(request, timestamp) : undefined;
    if (held !== undefined) return { timestamp, result: 'stays', keysForgotten: 0, notice: await unmark(request, names.prune, held) };
    if (whole) await forgetOutside(request, timestamp);
    // Data first: a store that will not let it go must not lose the manifest.
    for (const name of [names.data, names.manifest, ...files.keys()]) {
      if (name === names.prune || !files.has(name)) continue;
      await store.delete(name, signal);
      files.delete(name);
      touched = true;
      // Now there is room for it.
      marker ??= await mark(request, timestamp, before);
    }
    marker ??= await mark(request, timestamp, before);
    const { forgotten, open, notice } = await forgetKeys(request, timestamp, marker);
    if (open !== undefined) return { timestamp, result: 'unfinished', keysForgotten: forgotten, notice: open };
    await releaseHolds(store, prefix, { component: request.component, timestamp }, signal);
    await store.delete(names.prune, signal);
    return { timestamp, result: 'removed', keysForgotten: forgotten, notice };
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    if (touched) return { timestamp, result: 'unfinished', keysForgotten: 0, notice: errorMessage(thrown) };
    return { timestamp, result: 'stays', keysForgotten: 0, notice: await unmark(request, names.prune, errorMessage(thrown)) };
  }
}

/** What lies outside goes first: without the manifest it could not be found any more. @throws UserError when it must stay */
async function forgetOutside(request: PruneRequest, timestamp: Timestamp): Promise<void> {
  if (!request.forgetOutside) return;
  const elsewhere = await dataElsewhere({ ...request, timestamp, open: request.openRecorded });
  // Another store still has the backup that needs it.
  if (elsewhere.answer === 'there') return;
  if (elsewhere.answer === 'unknown') throw new UserError(`what lies outside of the store stays ${elsewhere.reason}`);
  await request.forgetOutside(timestamp);
}

/** A run that began to read it, or held it, since the plan was made leaves a hold before it looks for the marker. */
async function heldSince({ place, component, now, signal }: PruneRequest, timestamp: Timestamp): Promise<string | undefined> {
  const holds = await holdsOn(place.store, place.prefix, { component, timestamp }, signal);
  const hold = holds.find((one) => holdsAt(one, now));
  return hold && `held: ${hold.reason}`;
}

/** The mark; undefined on a full disk: then the data goes first, and its manifest says until the mark is there what is left to do. */
async function markOrFull(
  request: PruneRequest,
  timestamp: Timestamp,
  files: ReadonlyMap<string, ObjectInfo>,
): Promise<Marker | undefined> {
  try {
    return await mark(request, timestamp, files);
  } catch (thrown) {
    if (isDiskFull(thrown)) return undefined;
    throw thrown;
  }
}

/** Writes down what is needed to go on without data and manifest. */
async function mark(request: PruneRequest, timestamp: Timestamp, files: ReadonlyMap<string, ObjectInfo>): Promise<Marker> {
  const { store, prefix } = request.place;
  const names = backupNames(prefix, request.component, timestamp);
  const metadata = files.get(names.data)?.metadata ?? {};
  const marker: Marker = {
    origin: metadata['origin'] ?? 'unknown',
    keys: wrappedKeysOf(metadata, names.data) ?? (await keysOfManifest(request, names.manifest)),
  };
  const body = {
    ...{ formatVersion: 1, component: request.component, timestamp, started: request.now.toISOString(), by: request.by },
    ...marker,
  };
  await store.write(names.prune, Buffer.from(`${JSON.stringify(body, null, 2)}\n`), {
    contentType: 'application/json',
    signal: request.signal,
  });
  return marker;
}

/** The data is gone or bare: its manifest says the same. A manifest that cannot be read leaves the keys where they are. */
async function keysOfManifest({ place, signal }: PruneRequest, name: string): Promise<WrappedKey[]> {
  const bytes = await place.store.read(name, { signal });
  try {
    return bytes === undefined
      ? []
      : keysSchema.parse((JSON.parse(Buffer.from(bytes).toString()) as { keyRecipients?: unknown }).keyRecipients);
  } catch {
    return [];
  }
}

async function readMarker({ place, signal }: PruneRequest, name: string): Promise<Marker> {
  const bytes = await place.store.read(name, { signal });
  try {
    return markerSchema.parse(JSON.parse(Buffer.from(bytes ?? new Uint8Array()).toString()));
  } catch {
    return { origin: 'unknown', keys: [] };
  }
}

/** Takes the marker back from a backup that the store would not delete. @returns what to tell */
async function unmark({ place, signal }: PruneRequest, name: string, reason: string): Promise<string> {
  try {
    await place.store.delete(name, signal);
  } catch {
    // Harmless: beside a whole backup a marker means nothing.
  }
  return reason;
}

/** Deletes the keys when no store has the data any more. `open`: why that is not settled yet. */
async function forgetKeys(
  request: PruneRequest,
  timestamp: Timestamp,
  { origin, keys }: Marker,
): Promise<{ forgotten: number; open?: string; notice?: string | undefined }> {
  const perBackup = keys.filter(({ kind }) => kind === 'key-vault-secret' || kind === 'folder');
  if (perBackup.length === 0) return { forgotten: 0 };
  const elsewhere = await dataElsewhere({ ...request, timestamp, open: request.openRecorded });
  // The last store to lose the data forgets the keys.
  if (elsewhere.answer === 'there') return { forgotten: 0 };
  if (elsewhere.answer === 'unknown') return { forgotten: 0, open: `its keys stay ${elsewhere.reason}` };
  if (!request.othersKnown && !elsewhere.recorded && origin !== 'backup') {
    return { forgotten: 0, notice: 'its keys stay: this was a copy, and where the original is, is not known' };
  }
  const orphan = perBackup.find((key) => !request.recipients.some((recipient) => recipient.matches(key)));
  if (orphan) return { forgotten: 0, open: `its key ${orphan.keyId} stays: no vault that was given has it` };
  const failures = await forgetAll(perBackup, request.recipients, request.signal);
  return { forgotten: perBackup.length - failures.length, ...(failures.length === 0 ? {} : { open: failures.join('; ') }) };
}

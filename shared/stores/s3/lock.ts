// Locks of the s3 store: one small object per lock that is created and replaced only under conditions, so that taking over has one winner.
import { createHash, randomBytes } from 'node:crypto';
import { throwIfCancelled } from '../../step/errors.ts';
import { LockedError, StoreError } from '../errors.ts';
import { believedExpiry, keepAlive } from '../heartbeat.ts';
import { CONDITIONS_FIX, isConditionFailed, isMissing, type S3Bucket } from './bucket.ts';
import type { Lock, LockOptions } from '../store.ts';

/** S3 tells times in whole seconds: a lock may be this much younger than it looks, and so may the service's clock be older. */
const CLOCK_GRAIN_MS = 1000;
/** How often the object may change between reading and replacing it. */
const MAX_ROUNDS = 10;

interface LockRecord {
  /** Undefined when it was given back: any run may take it at once. */
  owner?: string;
  expiresAfter: number;
  /** Who wrote it, to know one's own write again after a lost answer. */
  id: string;
  /** Makes every renewal other bytes, so that it has another ETag. */
  beat: number;
}

interface SeenLock {
  record: LockRecord | undefined;
  etag: string;
  /** Milliseconds since the last beat, by the service's own clock. */
  age: number;
}

/**
 * Takes a lock. The object is never deleted, only marked as given back: replacing it under If-Match is what every S3 can do.
 * @throws LockedError with owner and expiry when another run holds it
 */
export async function lockS3(bucket: S3Bucket, name: string, options: LockOptions): Promise<Lock> {
  const key = `locks/${createHash('sha256').update(name).digest('hex')}`;
  const what = `${name} in ${bucket.location}`;
  return bucket.guarded('Locking', name, options.signal, async () => {
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      throwIfCancelled(options.signal);
      const since = performance.now();
      const seen = await readLock(bucket, key, options.signal);
      if (seen) requireFree(seen, what, options);
      const record = { owner: options.owner, expiresAfter: options.expiresAfter, id: randomBytes(16).toString('hex'), beat: 0 };
      const etag = await writeLock(bucket, key, record, seen?.etag, options.signal);
      if (etag === undefined) continue;
      await requireConditions(bucket, key, record, options.signal);
      if (seen && seen.record?.owner !== undefined) options.onTakeover?.(seen.record.owner);
      return held(bucket, key, what, { record, taken: etag, since, graceMs: options.resumable ? bucket.patience.limitMs : 0 });
    }
    throw new StoreError(`${what} is locked and released all the time.`, { fix: 'Try again in a minute.' });
  });
}

/**
 * Writes the lock again under conditions that do not hold: a service that takes that would give one lock, or one timestamp, to two runs.
 * The first lock on a store proves it for the whole run.
 * @throws StoreError
 */
async function requireConditions(bucket: S3Bucket, key: string, record: LockRecord, signal: AbortSignal | undefined): Promise<void> {
  if (bucket.conditionsKept) return;
  const takes = async (condition: { IfNoneMatch: string } | { IfMatch: string }): Promise<boolean> => {
    const body = { Body: Buffer.from(JSON.stringify(record)), ContentType: 'application/json' };
    try {
      await bucket.send(new bucket.sdk.PutObjectCommand({ ...bucket.own(key), ...body, ...condition }), signal);
      return true;
    } catch (thrown) {
      if (isConditionFailed(thrown) || isMissing(thrown)) return false;
      throw thrown;
    }
  };
  if ((await takes({ IfNoneMatch: '*' })) || (await takes({ IfMatch: '"00000000000000000000000000000000"' }))) {
    await bucket.send(new bucket.sdk.DeleteObjectCommand(bucket.own(key)), signal).catch(() => undefined);
    throw new StoreError(`${bucket.location} overwrites what it is told not to: it ignores the conditions of a write.`, {
      fix: CONDITIONS_FIX,
    });
  }
  bucket.conditionsKept = true;
}

function requireFree({ record, age }: SeenLock, what: string, options: LockOptions): void {
  if (record && record.owner === undefined) return;
  const left = believedExpiry(record?.expiresAfter, options.expiresAfter) + CLOCK_GRAIN_MS - age;
  if (left < 0) return;
  throw new LockedError(`${what} is locked by ${record?.owner ?? 'another run'}.`, {
    fix: `Wait until that run has ended. If it was killed, the lock is free in ${Math.ceil(left / 1000)} seconds.`,
  });
}

function held(
  bucket: S3Bucket,
  key: string,
  what: string,
  { record, taken, since, graceMs }: { record: LockRecord; taken: string; since: number; graceMs: number },
): Lock {
  let etag = taken;
  let current = record;
  return keepAlive({
    what,
    expiresAfter: record.expiresAfter,
    graceMs,
    since,
    async renew(signal) {
      const next = { ...current, beat: current.beat + 1 };
      const written = await writeLock(bucket, key, next, etag, signal);
      if (written === undefined) return false;
      etag = written;
      current = next;
      return true;
    },
    async release() {
      const { expiresAfter, id, beat } = current;
      await writeLock(bucket, key, { expiresAfter, id, beat: beat + 1 }, etag, AbortSignal.timeout(10_000));
    },
  });
}

/** Creates or replaces the record. Returns its ETag; undefined when another run was first. */
async function writeLock(
  bucket: S3Bucket,
  key: string,
  record: LockRecord,
  replaces: string | undefined,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const command = new bucket.sdk.PutObjectCommand({
    ...bucket.own(key),
    Body: Buffer.from(JSON.stringify(record)),
    ContentType: 'application/json',
    ...(replaces === undefined ? { IfNoneMatch: '*' } : { IfMatch: replaces }),
  });
  try {
    return (await bucket.send(command, signal)).ETag;
  } catch (thrown) {
    if (!isConditionFailed(thrown) && !isMissing(thrown)) throw thrown;
    // Ours after all: an earlier attempt succeeded, or a renewal whose answer was lost.
    const now = await readLock(bucket, key, signal);
    if (now?.record?.id !== record.id) return undefined;
    return now.record.beat === record.beat ? now.etag : writeLock(bucket, key, record, now.etag, signal);
  }
}

async function readLock(bucket: S3Bucket, key: string, signal: AbortSignal | undefined): Promise<SeenLock | undefined> {
  const command = new bucket.sdk.GetObjectCommand(bucket.own(key));
  let serviceTime = Number.NaN;
  command.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      serviceTime = Date.parse((answer.response as { headers?: Record<string, string> }).headers?.['date'] ?? '');
      return answer;
    },
    { step: 'deserialize', priority: 'low' },
  );
  try {
    const answer = await bucket.send(command, signal);
    const text = (await answer.Body?.transformToString()) ?? '';
    const now = Number.isNaN(serviceTime) ? Date.now() : serviceTime;
    return { record: parseRecord(text), etag: answer.ETag ?? '', age: now - (answer.LastModified?.getTime() ?? now) };
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

function parseRecord(text: string): LockRecord | undefined {
  try {
    const value = JSON.parse(text) as Partial<LockRecord>;
    return typeof value.id === 'string' && typeof value.expiresAfter === 'number' ? (value as LockRecord) : undefined;
  } catch {
    return undefined;
  }
}

// Locks of the azure-blob store: a lease on a small blob, whose metadata says who holds it.
import type { BlobLeaseClient, BlockBlobClient } from '@azure/storage-blob';
import { throwIfCancelled } from '../../step/errors.ts';
import type { AzureContainer } from './container.ts';
import { isAzureError } from './errors.ts';
import { isBlobMissing } from './read.ts';
import { LockedError, StoreError } from '../errors.ts';
import { keepAlive } from '../heartbeat.ts';
import type { Lock, LockOptions } from '../store.ts';

/** Azure's limits for a lease that ends by itself, seconds. */
const SHORTEST_LEASE = 15;
const LONGEST_LEASE = 60;
/** How often the blob may vanish between creating and leasing it, because its holder is just releasing it. */
const MAX_ROUNDS = 10;

/**
 * Takes a lock. The expiry is kept by the service: 15 to 60 seconds, whichever is nearest to `expiresAfter`.
 * @throws LockedError with owner and expiry when another run holds it
 */
export async function lockBlob(container: AzureContainer, name: string, options: LockOptions): Promise<Lock> {
  const blob = container.blob(name);
  const seconds = Math.min(LONGEST_LEASE, Math.max(SHORTEST_LEASE, Math.round(options.expiresAfter / 1000)));
  return container.guarded('Locking', name, async () => {
    for (let round = 1; round <= MAX_ROUNDS; round += 1) {
      throwIfCancelled(options.signal);
      const since = performance.now();
      const lease = await acquire(container, blob, seconds, options);
      if (lease === 'gone') continue;
      if (lease === 'taken') {
        const owner = await readOwner(container, blob, options.signal);
        // Released or expired between the two requests.
        if (owner === undefined && round < MAX_ROUNDS) continue;
        throw lockedError(container, name, owner, seconds);
      }
      const previous = await readOwner(container, blob, options.signal);
      await writeOwner(container, blob, lease, options);
      // Our own name is there from the start when the lock was free.
      if (previous !== undefined && previous !== '' && previous !== options.owner) options.onTakeover?.(previous);
      return held(container, name, blob, lease, { since, seconds, graceMs: options.resumable ? container.patience.limitMs : 0 });
    }
    throw new StoreError(`${name} in ${container.location} is locked and released all the time.`, { fix: 'Try again in a minute.' });
  });
}

function held(
  container: AzureContainer,
  name: string,
  blob: BlockBlobClient,
  lease: BlobLeaseClient,
  { since, seconds, graceMs }: { since: number; seconds: number; graceMs: number },
): Lock {
  return keepAlive({
    what: `${name} in ${container.location}`,
    expiresAfter: seconds * 1000,
    graceMs,
    since,
    async renew(signal) {
      try {
        await container.tries((abortSignal) => lease.renewLease({ abortSignal }), signal);
        return true;
      } catch (thrown) {
        if (isLeaseLost(thrown)) return false;
        throw thrown;
      }
    },
    async release() {
      const signal = AbortSignal.timeout(10_000);
      const conditions = { leaseId: lease.leaseId };
      const remove = () => container.tries((abortSignal) => blob.delete({ abortSignal, conditions }), signal);
      try {
        await remove();
      } catch (thrown) {
        if (!isAzureError(thrown, 'LeaseNotPresentWithBlobOperation', 'LeaseLost')) throw thrown;
        // It ran out while the store was away. When no other run has taken it since, it can be renewed.
        await container.tries((abortSignal) => lease.renewLease({ abortSignal }), signal);
        await remove();
      }
    },
  });
}

async function acquire(
  container: AzureContainer,
  blob: BlockBlobClient,
  seconds: number,
  options: LockOptions,
): Promise<BlobLeaseClient | 'taken' | 'gone'> {
  try {
    // With the name from the start: killed before the lease or right after it, the run that takes the lock over finds our name.
    const metadata = ownerMetadata(options);
    const conditions = { ifNoneMatch: '*' };
    await container.tries((abortSignal) => blob.upload('', 0, { abortSignal, conditions, metadata }), options.signal);
  } catch (thrown) {
    // LeaseIdMissing: it is there, and leased.
    if (!isAzureError(thrown, 'BlobAlreadyExists', 'ConditionNotMet', 'LeaseIdMissing')) throw thrown;
  }
  // The client chooses the lease's id once, so that a repeated request after a lost answer is granted again.
  const lease = blob.getBlobLeaseClient();
  try {
    await container.tries((abortSignal) => lease.acquireLease(seconds, { abortSignal }), options.signal);
    return lease;
  } catch (thrown) {
    if (isBlobMissing(thrown)) return 'gone';
    if (isAzureError(thrown, 'LeaseAlreadyPresent')) return 'taken';
    throw thrown;
  }
}

/** '' when the holder has not said its name yet; undefined when there is no lock any more. */
async function readOwner(container: AzureContainer, blob: BlockBlobClient, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { metadata } = await container.tries((abortSignal) => blob.getProperties({ abortSignal }), signal);
    return decodeURIComponent(metadata?.['owner'] ?? '');
  } catch (thrown) {
    if (isBlobMissing(thrown)) return undefined;
    throw thrown;
  }
}

/** Encoded: a header takes ASCII only. */
function ownerMetadata({ owner }: LockOptions): { owner: string } {
  return { owner: encodeURIComponent(owner) };
}

async function writeOwner(container: AzureContainer, blob: BlockBlobClient, lease: BlobLeaseClient, options: LockOptions): Promise<void> {
  const metadata = ownerMetadata(options);
  const conditions = { leaseId: lease.leaseId };
  await container.tries((abortSignal) => blob.setMetadata(metadata, { abortSignal, conditions }), options.signal);
}

function lockedError(container: AzureContainer, name: string, owner: string | undefined, seconds: number): LockedError {
  const who = owner === undefined || owner === '' ? 'another run, which has just taken it' : owner;
  return new LockedError(`${name} in ${container.location} is locked by ${who}.`, {
    fix: `Wait until that run has ended. If it was killed, the lock is free within ${seconds} seconds.`,
  });
}

function isLeaseLost(thrown: unknown): boolean {
  return (
    isBlobMissing(thrown) ||
    isAzureError(
      thrown,
      'LeaseIdMismatchWithLeaseOperation',
      'LeaseNotPresentWithLeaseOperation',
      'LeaseIsBrokenAndCannotBeRenewed',
      'LeaseIsBreakingAndCannotBeAcquired',
      'LeaseLost',
      'LeaseAlreadyPresent',
    )
  );
}

// Holds: they keep retention away from a backup that must not be lost, with a reason and for a time.
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { RunIdentity } from '../step/host.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { holdName, holdsFolder, parseHoldName } from '../backup/layout.ts';
import type { Store } from '../stores/store.ts';

export interface Hold {
  /** Tells apart several holds on one backup; 8 letters and digits. */
  id: string;
  component: string;
  timestamp: Timestamp;
  /** Why, for people who find it. */
  reason: string;
  /** When it ends by itself; undefined: only when it is released. */
  until: Date | undefined;
}

export interface NewHold {
  component: string;
  timestamp: Timestamp;
  reason: string;
  until?: Date | undefined;
  /** Who placed it. */
  by: RunIdentity;
  now: Date;
  /** The same hold in further stores gets the same id. */
  id?: string | undefined;
}

const documentSchema = z.object({ reason: z.string(), until: z.iso.datetime().nullable() });

/** Places a hold; several on one backup do not disturb each other. @returns its id @throws StoreError */
export async function writeHold(store: Store, prefix: string, hold: NewHold, signal?: AbortSignal): Promise<string> {
  const { component, timestamp, reason, until, by, now } = hold;
  const id = hold.id ?? randomUUID().slice(0, 8);
  const body = { formatVersion: 1, component, timestamp, reason, until: until?.toISOString() ?? null, by, created: now.toISOString() };
  await store.write(holdName(prefix, component, timestamp, id), Buffer.from(`${JSON.stringify(body, null, 2)}\n`), {
    contentType: 'application/json',
    signal,
  });
  return id;
}

/** All holds on a component's backups, ended ones too, oldest backup first. One that cannot be read holds for ever. @throws StoreError */
export async function listHolds(store: Store, prefix: string, component: string, signal?: AbortSignal): Promise<Hold[]> {
  return holdsBelow(store, prefix, component, holdsFolder(prefix, component), signal);
}

/** The holds on one backup. @throws StoreError */
export async function holdsOn(
  store: Store,
  prefix: string,
  { component, timestamp }: Pick<Hold, 'component' | 'timestamp'>,
  signal?: AbortSignal,
): Promise<Hold[]> {
  return holdsBelow(store, prefix, component, `${holdsFolder(prefix, component)}${timestamp}.`, signal);
}

async function holdsBelow(
  store: Store,
  prefix: string,
  component: string,
  names: string,
  signal: AbortSignal | undefined,
): Promise<Hold[]> {
  const holds: Hold[] = [];
  for await (const info of store.list(names, signal)) {
    const parsed = parseHoldName(prefix, component, info.name);
    if (!parsed) continue;
    const bytes = await store.read(info.name, { maxBytes: 1024 * 1024, signal });
    // Released since the listing.
    if (bytes) holds.push({ component, ...parsed, ...contentOf(bytes) });
  }
  return holds;
}

function contentOf(bytes: Uint8Array): Pick<Hold, 'reason' | 'until'> {
  try {
    const { reason, until } = documentSchema.parse(JSON.parse(Buffer.from(bytes).toString()));
    return { reason, until: until === null ? undefined : new Date(until) };
  } catch {
    return { reason: 'a hold that cannot be read', until: undefined };
  }
}

/** True while it keeps its backup. */
export function holdsAt({ until }: Hold, now: Date): boolean {
  return until === undefined || until.getTime() > now.getTime();
}

/** Takes holds away: one by its id, or all of a backup. @returns how many there were @throws StoreError */
export async function releaseHolds(
  store: Store,
  prefix: string,
  { component, timestamp, id }: { component: string; timestamp: Timestamp; id?: string | undefined },
  signal?: AbortSignal,
): Promise<number> {
  let released = 0;
  for await (const info of store.list(`${holdsFolder(prefix, component)}${timestamp}.`, signal)) {
    const parsed = parseHoldName(prefix, component, info.name);
    if (parsed === undefined || (id !== undefined && parsed.id !== id)) continue;
    if (await store.delete(info.name, signal)) released += 1;
  }
  return released;
}

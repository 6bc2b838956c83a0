// Recovery points: one small JSON document that says which backups of all components belong together.
import { z } from 'zod';
import { VerificationError } from '../step/errors.ts';
import type { RunIdentity } from '../step/host.ts';
import { parseTimestamp, type Timestamp } from '../step/timestamp.ts';
import type { Store } from '../stores/store.ts';
import { parsePointName, pointName, pointsFolder } from '../backup/layout.ts';

const MAX_POINT_BYTES = 4 * 1024 * 1024;

const memberSchema = z.object({
  component: z.string(),
  kind: z.string(),
  /** How the component's run ended; a failed one has no backup in this point. */
  outcome: z.enum(['succeeded', 'partial', 'failed', 'refused', 'cancelled']),
  /** Location of the store that holds the backup. */
  store: z.string().optional(),
  verified: z.boolean().optional(),
  /** How many of what are in it. */
  items: z.object({ unit: z.string(), count: z.int().min(0) }).optional(),
  /** The same of a backup of documents: what older versions wrote, and read. */
  documents: z.int().min(0).optional(),
  plainBytes: z.int().min(0).optional(),
  storedBytes: z.int().min(0).optional(),
  warnings: z.array(z.string()).optional(),
  error: z.string().optional(),
});

const pointSchema = z.object({
  formatVersion: z.literal(1),
  timestamp: z.string().refine((text) => parseTimestamp(text) !== undefined, 'not a timestamp'),
  name: z.string(),
  created: z.iso.datetime(),
  /** True when every component of dr.yml has a backup in it. */
  complete: z.boolean(),
  run: z.object({ id: z.string(), url: z.string().optional(), actor: z.string().optional(), workflow: z.string().optional() }),
  components: z.array(memberSchema).min(1),
});

/** One component's part of a recovery point. */
export type PointMember = z.infer<typeof memberSchema>;

export interface RecoveryPoint {
  timestamp: Timestamp;
  name: string;
  created: Date;
  complete: boolean;
  run: RunIdentity;
  components: PointMember[];
}

/**
 * Writes a point. Each store that holds backups of it gets one, so that any of them alone tells what belongs together.
 * @throws ObjectExistsError when the store has a point of that timestamp; StoreError
 */
export async function writePoint(store: Store, prefix: string, point: RecoveryPoint, signal?: AbortSignal): Promise<void> {
  const { timestamp, complete, components } = point;
  const bytes = Buffer.from(`${JSON.stringify({ formatVersion: 1, ...point }, null, 2)}\n`);
  await store.write(pointName(prefix, timestamp), bytes, {
    ifAbsent: true,
    contentType: 'application/json',
    metadata: { timestamp, complete: String(complete), components: String(components.length) },
    signal,
  });
}

/** The points of a store, oldest first, told from their names. @throws StoreError */
export async function listPoints(store: Store, prefix: string, signal?: AbortSignal): Promise<{ timestamp: Timestamp; name: string }[]> {
  const points: { timestamp: Timestamp; name: string }[] = [];
  for await (const { name } of store.list(pointsFolder(prefix), signal)) {
    const timestamp = parsePointName(prefix, name);
    if (timestamp !== undefined) points.push({ timestamp, name });
  }
  return points;
}

/** Reads a point; undefined when there is none. @throws VerificationError when it is damaged; StoreError */
export async function readPoint(
  store: Store,
  prefix: string,
  timestamp: Timestamp,
  signal?: AbortSignal,
): Promise<RecoveryPoint | undefined> {
  const name = pointName(prefix, timestamp);
  const bytes = await store.read(name, { maxBytes: MAX_POINT_BYTES, signal });
  if (!bytes) return undefined;
  try {
    const parsed = pointSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    if (parsed.timestamp !== timestamp) throw new Error(`it is that of ${parsed.timestamp}`);
    const { name: of, complete, components, created, run } = parsed;
    return { timestamp, name: of, complete, components, created: new Date(created), run: run as RunIdentity };
  } catch (cause) {
    throw new VerificationError(`The recovery point ${name} in ${store.location} is damaged.`, {
      cause,
      fix: 'The backups themselves are not touched by this: list-backups shows them, each can be restored by itself.',
    });
  }
}

// The audit log: who ran what, when, from which run, with what reason. One object per entry, never written twice.
import { hostname } from 'node:os';
import pLimit from 'p-limit';
import { z } from 'zod';
import type { RunIdentity } from '../step/host.ts';
import { formatTimestamp, timestampToDate } from '../step/timestamp.ts';
import { auditFolder, auditName, parseAuditName } from '../backup/layout.ts';
import { ObjectExistsError } from '../stores/errors.ts';
import type { Store } from '../stores/store.ts';

const schema = z.object({
  formatVersion: z.literal(1),
  at: z.iso.datetime(),
  step: z.string(),
  /** `writes`: it adds; `destroys`: it may remove or overwrite something in use. */
  effects: z.enum(['writes', 'destroys']),
  /** `begun` is written before a destroying step touches anything, so that a run that is killed has left its trace. */
  event: z.enum(['begun', 'succeeded', 'partial', 'failed', 'refused', 'cancelled']),
  component: z.string().optional(),
  /** The backup it made, or was told to use. */
  backup: z.string().optional(),
  actor: z.string().optional(),
  workflow: z.string().optional(),
  run: z.string(),
  url: z.string().optional(),
  /** The machine it ran on. */
  machine: z.string(),
  reason: z.string().optional(),
  error: z.string().optional(),
});

/** One line of the audit log. No secrets. */
export type AuditEntry = z.infer<typeof schema>;

/** What a step tells about itself; the rest is known. */
export interface AuditEvent extends Pick<AuditEntry, 'step' | 'effects' | 'event'> {
  at: Date;
  component?: string | undefined;
  backup?: string | undefined;
  reason?: string | undefined;
  error?: string | undefined;
}

/** Entries of one run in one second; more would be a fault somewhere. */
const MAX_SAME_NAME = 99;
const READ_AT_ONCE = 16;
const MAX_ENTRY_BYTES = 64 * 1024;

/**
 * Adds an entry below `audit/`: one line of JSON under a name that is never written again, so that all of them together are JSON lines.
 * @returns the entry's name
 * @throws StoreError
 */
export async function writeAudit(store: Store, prefix: string, run: RunIdentity, event: AuditEvent, signal?: AbortSignal): Promise<string> {
  const entry: AuditEntry = {
    formatVersion: 1,
    ...event,
    at: event.at.toISOString(),
    actor: run.actor,
    workflow: run.workflow,
    run: run.id,
    url: run.url,
    machine: hostname(),
  };
  const bytes = Buffer.from(`${JSON.stringify(entry)}\n`);
  for (let n = 1; ; n += 1) {
    const name = auditName(prefix, formatTimestamp(event.at), run.id, n);
    try {
      await store.write(name, bytes, { ifAbsent: true, contentType: 'application/x-ndjson', signal });
      return name;
    } catch (thrown) {
      if (!(thrown instanceof ObjectExistsError) || n >= MAX_SAME_NAME) throw thrown;
    }
  }
}

/** The audit log as it was read. */
export interface AuditLog {
  /** Oldest first. */
  entries: AuditEntry[];
  /** Names of objects that are no entries: damaged, or not ours. */
  unreadable: string[];
}

/** Reads the log, oldest first. @throws StoreError */
export async function readAudit(
  store: Store,
  prefix: string,
  { since, signal }: { since?: Date; signal?: AbortSignal } = {},
): Promise<AuditLog> {
  const names: string[] = [];
  const unreadable: string[] = [];
  for await (const { name, size } of store.list(auditFolder(prefix), signal)) {
    const timestamp = parseAuditName(prefix, name);
    if (timestamp === undefined || size > MAX_ENTRY_BYTES) unreadable.push(name);
    else if (since === undefined || timestampToDate(timestamp) >= since) names.push(name);
  }
  const limit = pLimit(READ_AT_ONCE);
  const read = await Promise.all(names.map((name) => limit(() => readEntry(store, name, signal))));
  const entries = read.filter((entry) => entry !== undefined).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return { entries, unreadable: [...unreadable, ...names.filter((_name, index) => read[index] === undefined)] };
}

async function readEntry(store: Store, name: string, signal: AbortSignal | undefined): Promise<AuditEntry | undefined> {
  const bytes = await store.read(name, { signal });
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes ?? []).toString()));
  } catch {
    return undefined;
  }
}

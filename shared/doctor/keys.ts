// Checks of vault and keys: a probe secret set, read and deleted; the latest backup's key opened by each recipient; which ciphers are in use.
import { randomBytes } from 'node:crypto';
import { openBackup } from '../backup/read.ts';
import { wrappedKeysOf } from '../backup/metadata.ts';
import { parseBackupObject, prefixFolder } from '../backup/layout.ts';
import { listBackups } from '../catalog/list.ts';
import { errorMessage } from '../step/errors.ts';
import { plural } from '../step/format.ts';
import { timestampToDate } from '../step/timestamp.ts';
import type { ObjectInfo, Store } from '../stores/store.ts';
import type { KeyRecipient, RecipientKind, Vault, WrappedKey } from '../vaults/vault.ts';
import { findingOf, skipped, type Check, type Finding } from '../backup/finding.ts';
import { isForbidden } from './check.ts';

/** One for ever: a vault that does not purge keeps this one at most, and the next run takes it again. */
const PROBE_SECRET = 'lifeboat-doctor-probe';
const CLEAN_UP_MS = 15_000;
const DAY_MS = 86_400_000;
/** Keys are rotated quarterly. */
const MAX_KEY_AGE_DAYS = 90;

export interface VaultSubject {
  vault: Vault;
  grant: () => Promise<string | undefined>;
}

/** Sets, reads and deletes a probe secret. */
export function vaultCheck({ vault, grant }: VaultSubject): Check {
  return {
    name: 'vault-access',
    look: async (signal) => {
      let doing = 'set';
      let there = false;
      try {
        const value = randomBytes(32).toString('base64');
        const { version } = await vault.set(PROBE_SECRET, value, {
          contentType: 'text/plain',
          tags: { purpose: 'lifeboat-doctor' },
          signal,
        });
        there = true;
        doing = 'read';
        if ((await vault.get(PROBE_SECRET, signal, version))?.value !== value) {
          return { status: 'failed', seen: `A probe secret in ${vault.location} came back different from what was set.` };
        }
        doing = 'deleted';
        await vault.delete(PROBE_SECRET, signal);
        there = false;
        const gone = (await vault.purge?.(PROBE_SECRET, signal)) ?? true;
        const rest = gone
          ? ''
          : ` Its purge protection keeps the deleted ${PROBE_SECRET} for the retention time; the next run uses it again.`;
        return { status: 'ok', seen: `A probe secret was set, read and deleted in ${vault.location}.${rest}` };
      } catch (thrown) {
        const found = findingOf(thrown);
        const command = isForbidden(thrown) ? await grant() : undefined;
        return {
          ...found,
          seen: `A probe secret could not be ${doing}: ${found.seen}`,
          ...(command === undefined ? {} : { fix: `${found.fix ?? 'Give the identity the right.'}\n${command}` }),
        };
      } finally {
        if (there) await vault.delete(PROBE_SECRET, AbortSignal.timeout(CLEAN_UP_MS)).catch(() => false);
      }
    },
  };
}

/**
 * Wraps a throw-away key for each long-lived recipient; a Key Vault key is also asked to unwrap. Nothing is stored by that. Recipients with a
 * key per backup store one when they wrap; `vault-access` tries what they need.
 */
export function recipientsCheck(recipients: readonly KeyRecipient[], grant: () => Promise<string | undefined>): Check {
  return {
    name: 'key-recipients',
    look: async (signal) => {
      const lasting = recipients.filter(({ kind }) => kind === 'key-vault-key' || kind === 'escrow');
      if (lasting.length === 0) return skipped('Each backup has a key of its own in the vault, which vault-access tries.');
      // As the format has it: "2.0", five zero bytes, the key.
      const payload = Buffer.concat([Buffer.from('2.0'), Buffer.alloc(5), randomBytes(32)]);
      try {
        for (const recipient of lasting) await recipient.wrap(payload, { component: 'doctor', timestamp: 'probe', signal });
      } catch (thrown) {
        const found = findingOf(thrown);
        const command = isForbidden(thrown) ? await grant() : undefined;
        return { ...found, ...(command === undefined ? {} : { fix: `${found.fix ?? 'Give the identity the right.'}\n${command}` }) };
      }
      return {
        status: 'ok',
        seen: `A key can be wrapped for ${lasting.map(({ kind, location }) => `${kind} ${location}`).join(' and for ')}.`,
      };
    },
  };
}

export interface KeysSubject {
  store: Store;
  prefix: string;
  component: string | undefined;
  recipients: readonly KeyRecipient[];
}

/** Opens the latest backup with each recipient that could. A recipient whose private half is not here is not asked. */
export function keyAccessCheck(
  { store, prefix, component, recipients }: KeysSubject,
  withoutPrivateKey: ReadonlySet<RecipientKind>,
): Check {
  return {
    name: 'key-access',
    look: async (signal) => {
      const backups = await listBackups(store, prefix, { component, signal });
      const latest = backups.findLast(({ state }) => state === 'verified' || state === 'committed' || state === 'suspect');
      if (!latest) return skipped('There is no backup yet whose key could be opened.');
      const { timestamp } = latest;
      const asked = recipients.filter(({ kind }) => !withoutPrivateKey.has(kind));
      if (asked.length === 0) return skipped('Only the escrow key could open it, and its private half is not here, as it should be.');
      const failures: string[] = [];
      const opened: string[] = [];
      let fix: string | undefined;
      for (const recipient of asked) {
        try {
          await openBackup({ store, prefix, component: latest.component, timestamp, recipients: [recipient], signal });
          opened.push(recipient.location);
        } catch (thrown) {
          fix ??= findingOf(thrown).fix;
          failures.push(`${recipient.kind}: ${errorMessage(thrown)}`);
        }
      }
      const what = `${latest.component} ${timestamp}`;
      if (failures.length === 0)
        return { status: 'ok', seen: `The key of the latest backup (${what}) opens with ${opened.join(' and with ')}.` };
      const status = opened.length > 0 ? 'warning' : 'failed';
      return {
        status,
        seen: `The key of the latest backup (${what}) does not open: ${failures.join(' ')}`,
        fix,
      };
    },
  };
}

/** How one backup is encrypted. */
export interface KeyFacts {
  component: string;
  timestamp: string;
  /** When its content key was made: with the backup, which of an imported dump is years after its timestamp. */
  created: string;
  ageDays: number;
  /** Of the data; the one that the format has. */
  cipher: 'AES-256-GCM';
  /** Who can open it, and how the content key is wrapped for them. */
  recipients: { kind: RecipientKind; algorithm: string; keyId: string }[];
}

/** Every backup's key, from the metadata beside the data: two listings, no key is opened. Oldest first. */
export async function keyOverview(store: Store, prefix: string, now: Date, signal: AbortSignal): Promise<KeyFacts[]> {
  const nameOf = ({ component, timestamp }: { component: string; timestamp: string }): string => `${component}/${timestamp}`;
  const made = new Map((await listBackups(store, prefix, { signal })).map((backup) => [nameOf(backup), backup.created]));
  const keys: KeyFacts[] = [];
  for await (const info of store.list(prefixFolder(prefix), signal)) {
    const object = parseBackupObject(prefix, info.name);
    if (object?.file !== 'data') continue;
    const created = made.get(nameOf(object)) ?? timestampToDate(object.timestamp);
    keys.push({
      component: object.component,
      timestamp: object.timestamp,
      created: created.toISOString(),
      ageDays: Math.floor((now.getTime() - created.getTime()) / DAY_MS),
      cipher: 'AES-256-GCM',
      recipients: listedKeys(info).map(({ kind, algorithm, keyId }) => ({ kind, algorithm, keyId })),
    });
  }
  return keys.sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
}

/** Metadata that cannot be read are a finding of a validation, and hide nothing of the other backups. */
function listedKeys({ name, metadata }: ObjectInfo): readonly WrappedKey[] {
  try {
    return wrappedKeysOf(metadata, name) ?? [];
  } catch {
    return [];
  }
}

/** Which ciphers are in use, and whether a key that wraps many backups is due for rotation. */
export function encryptionCheck(overview: (signal: AbortSignal) => Promise<KeyFacts[]>): Check {
  return {
    name: 'encryption',
    look: async (signal) => {
      const keys = await overview(signal);
      if (keys.length === 0) return skipped('There is no backup yet.');
      const wraps = [...new Set(keys.flatMap(({ recipients }) => recipients.map(({ kind, algorithm }) => `${kind} (${algorithm})`)))];
      const seen = `${plural(keys.length, 'backup')}, each AES-256-GCM under a key of its own, wrapped for ${wraps.sort().join(', ')}.`;
      return rotationFinding(keys, seen);
    },
  };
}

/** A Key Vault key version that has wrapped backups for more than a quarter of a year. Per-backup keys do not age: each is used once. */
function rotationFinding(keys: readonly KeyFacts[], seen: string): Finding {
  const byAge = keys.toSorted((a, b) => b.ageDays - a.ageDays);
  const inUse = byAge.slice(-1).flatMap(({ recipients }) => recipients.filter(({ kind }) => kind === 'key-vault-key'));
  for (const { keyId } of inUse) {
    const first = byAge.find(({ recipients }) => recipients.some((recipient) => recipient.keyId === keyId));
    if (first === undefined || first.ageDays <= MAX_KEY_AGE_DAYS) continue;
    return {
      status: 'warning',
      seen: `${seen} The key ${keyId} has been in use for ${first.ageDays} days.`,
      fix: `Rotate it: az keyvault key rotate --id ${keyId.replace(/\/[^/]*$/, '')}. Old backups keep opening with the old version.`,
    };
  }
  return { status: 'ok', seen };
}

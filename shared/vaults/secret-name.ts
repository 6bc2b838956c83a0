// Names of secrets: the rules every vault keeps, and how any text becomes such a name without two texts colliding.
import { createHash } from 'node:crypto';
import { VaultError } from './errors.ts';

/** Key Vault's limit (about-keys-secrets-certificates, "Object identifiers"). */
const MAX_LENGTH = 127;

/**
 * A vault name for any text: unchanged when it is lower-case letters, digits and single dashes; else what fits of it and a hash of the
 * whole, so that `Db`, `db` and `d_b` stay three secrets in a vault that does not tell upper from lower case.
 */
export function secretName(text: string): string {
  if (/^[0-9a-z](?:[0-9a-z]|-(?=[0-9a-z]))*$/.test(text) && text.length <= MAX_LENGTH) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 10);
  const readable = text
    .toLowerCase()
    .replace(/[^0-9a-z]+/g, '-')
    .slice(0, MAX_LENGTH - hash.length - 1)
    .replace(/^-+|-+$/g, '');
  return readable === '' ? `x-${hash}` : `${readable}-${hash}`;
}

/** The secret that holds one backup's key: `lifeboat-<component>-<timestamp>` with dashes only. */
export function backupKeyName(component: string, timestamp: string): string {
  const name = `lifeboat-${secretName(component)}-${timestamp.replaceAll('_', '-')}`;
  return name.length <= MAX_LENGTH ? name : secretName(name);
}

/** @throws VaultError unless every vault takes the name */
export function checkSecretName(name: string, location: string): void {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return;
  throw new VaultError(`${JSON.stringify(name)} cannot be the name of a secret in ${location}.`, {
    fix: `Use 1 to ${MAX_LENGTH} letters, digits and dashes, for example ${secretName(name)}.`,
  });
}

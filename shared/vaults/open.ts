// The registry of vaults and of key recipients: a new kind of vault is one folder and one line here.
import { resolve } from 'node:path';
import type { z } from 'zod';
import { UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import type { Secret } from '../step/input.ts';
import { azureKeyVault, keyVaultOptions } from './azure-key-vault/kind.ts';
import { folder } from './folder/kind.ts';
import type { OpenVaultOptions, PerBackupKind, VaultKind } from './kind.ts';
import type { EscrowOptions } from './recipients/escrow.ts';
import type { KeyRecipient, RecipientKind, Vault } from './vault.ts';

export interface RecipientOptions extends OpenVaultOptions {
  /** The vault that keeps keys; not needed for a `key-vault-key` with a full address, nor for `escrow`. */
  vault?: Vault;
  /** For unwrapping by escrow. */
  escrow?: { privateKey?: string | undefined; passphrase?: Secret | undefined };
}

/** Every kind of vault, by the name that dr.yml calls it. */
export const VAULTS = {
  'azure-key-vault': azureKeyVault,
  folder,
};

type Vaults = typeof VAULTS;
export type VaultSchema = { [K in keyof Vaults]: Vaults[K] extends VaultKind<infer S> ? S : never }[keyof Vaults];

/** A vault as `dr.yml` says it, references resolved. */
export type VaultConfig = z.infer<VaultSchema>;

const ALL: readonly VaultKind<z.ZodType<VaultConfig>>[] = Object.values(VAULTS);

/** A kind of vault by its name; undefined for one that is not known. */
export function vaultKind(kind: unknown): VaultKind<z.ZodType<VaultConfig>> | undefined {
  return Object.entries(VAULTS).find(([name]) => name === kind)?.[1];
}

/**
 * Opens a vault.
 * @param address `https://<name>.vault.azure.net`, a folder, a `file:` URL, or what `dr.yml` has under `vault`
 * @throws UsageError, VaultError when the address is not one of a vault
 */
export async function openVault(address: string | VaultConfig, options: OpenVaultOptions = {}): Promise<Vault> {
  const config = typeof address === 'string' ? vaultConfig(address) : address;
  return (vaultKind(config.kind) as VaultKind<z.ZodType<VaultConfig>>).open(config, options);
}

/** What kind of vault an address means. @throws UsageError */
export function vaultConfig(address: string): VaultConfig {
  // Two letters or more: `C:\keys` is a folder.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) return folder.parse(address);
  const kind = ALL.find(({ schemes }) => schemes.includes(scheme));
  if (kind !== undefined && address.slice(scheme.length).startsWith('://')) return kind.parse(address);
  throw new UsageError(`${JSON.stringify(address)} is not a vault: ${scheme} addresses are not known.`, {
    fix: `Give ${ALL.map((one) => one.address).join(', or ')}.`,
  });
}

type OpenRecipient = (config: RecipientConfig, options: RecipientOptions) => Promise<KeyRecipient>;

const secretOf =
  (vault: VaultConfig['kind'], recipient: RecipientKind): OpenRecipient =>
  (_config, options) =>
    secretRecipient(vault, recipient, options);
const vaultKey: OpenRecipient = async (config, options) =>
  new (await import('./recipients/vault-key.ts')).VaultKeyRecipient(keyAddress(config, options.vault), await keyVaultOptions(options));
const escrow: OpenRecipient = async (config, options) =>
  (await import('./recipients/escrow.ts')).EscrowRecipient.open(escrowFiles(config, options));

const secretSchemas = () => import('./recipients/secret-schema.ts');

/** Every kind of recipient, by the name that dr.yml calls it. */
export const RECIPIENTS = {
  'key-vault-secret': { schema: async () => (await secretSchemas()).keyVaultSecret, open: secretOf('azure-key-vault', 'key-vault-secret') },
  'key-vault-key': { schema: async () => (await import('./recipients/vault-key-schema.ts')).schema, open: vaultKey },
  escrow: { schema: async () => (await import('./recipients/escrow-schema.ts')).schema, open: escrow },
  folder: { schema: async () => (await secretSchemas()).folder, open: secretOf('folder', 'folder') },
} satisfies Record<RecipientKind, unknown>;

export type RecipientSchema = Awaited<ReturnType<(typeof RECIPIENTS)[RecipientKind]['schema']>>;

/** A recipient as `dr.yml` says it, references resolved. */
export type RecipientEntry = z.infer<RecipientSchema>;

/** A recipient to open. `vault` stands for the one that keeps a key per backup in the vault at hand; a private key may open without `publicKey`. */
export type RecipientConfig = RecipientEntry | { kind: 'vault' } | { kind: 'escrow'; publicKey?: string };

/**
 * Opens recipients in the order given; without any, the one of the vault at hand.
 * @throws UsageError naming what is missing
 */
export async function openRecipients(configs: readonly RecipientConfig[], options: RecipientOptions = {}): Promise<KeyRecipient[]> {
  const wanted: readonly RecipientConfig[] = configs.length === 0 ? [{ kind: 'vault' }] : configs;
  return Promise.all(
    wanted.map(async (config) => RECIPIENTS[config.kind === 'vault' ? perBackupKind(options.vault) : config.kind].open(config, options)),
  );
}

/** A recipient as an input says it: `vault`, `key-vault-key:<name or address>`, `escrow:<file>`. @throws UsageError */
export function parseRecipient(text: string): RecipientConfig {
  const [, kind = '', rest = ''] = /^([a-z-]+)(?::(.+))?$/.exec(text) ?? [];
  if ((kind === 'vault' || kind === 'key-vault-secret' || kind === 'folder') && rest === '') return { kind };
  if (kind === 'key-vault-key' && rest !== '') return { kind, key: rest };
  if (kind === 'escrow') return { kind, ...(rest === '' ? {} : { publicKey: rest }) };
  throw new UsageError(`${JSON.stringify(text)} is not a key recipient.`, {
    fix: 'Write vault, key-vault-key:<address of the key> or escrow:<public key file>.',
  });
}

/** The kind of recipient that keeps a key of its own for each backup in a vault. */
export function perBackupKind(vault: { kind: string } | undefined): PerBackupKind {
  return vaultKind(vault?.kind)?.perBackup ?? 'key-vault-secret';
}

/** The kind of vault without which a recipient of dr.yml has no key; undefined when it needs none. */
export function vaultNeededBy({ kind, key }: { kind?: unknown; key?: unknown }): string | undefined {
  const byName = kind === 'key-vault-key' && typeof key === 'string' && !/:\/\/|\$\{/.test(key);
  return Object.entries<(typeof ALL)[number]>(VAULTS).find(([, vault]) =>
    byName ? vault.keyAddress !== undefined : vault.perBackup === kind,
  )?.[0];
}

/** The full address of a key of dr.yml, which may be a name in the vault of the file. */
export function fullKeyAddress(key: string, vault: VaultConfig | undefined): string {
  if (key.includes('://') || vault === undefined || !('url' in vault)) return key;
  return vaultKind(vault.kind)?.keyAddress?.(vault.url, key) ?? key;
}

async function secretRecipient(kind: string, recipient: RecipientKind, { vault }: RecipientOptions): Promise<KeyRecipient> {
  if (vault?.kind !== kind) {
    const have = vault ? `the vault is ${vault.location}` : 'no vault is set';
    throw new UsageError(`The key recipient ${recipient} needs a vault of kind ${kind}, but ${have}.`, {
      fix: `Set vault to ${vaultKind(kind)?.address ?? kind}.`,
    });
  }
  return new (await import('./recipients/secret.ts')).SecretRecipient(vault);
}

function keyAddress(config: RecipientConfig, vault: Vault | undefined): string {
  const key = config.kind === 'key-vault-key' ? config.key : '';
  if (/^https?:\/\//i.test(key)) return key;
  const address = vault && vaultKind(vault.kind)?.keyAddress?.(vault.location, key);
  if (address !== undefined) return address;
  throw new UsageError(`The key recipient key-vault-key names the key ${JSON.stringify(key)}, but no Key Vault is set.`, {
    fix: 'Give the full address, such as https://kv-dr-prod.vault.azure.net/keys/backups, or set vault.',
  });
}

function escrowFiles(config: RecipientConfig, { escrow = {}, baseFolder = '' }: RecipientOptions): EscrowOptions {
  const { publicKey } = config as { publicKey?: string };
  return {
    ...(publicKey === undefined ? {} : { publicKey: resolve(baseFolder, expandHome(publicKey)) }),
    // Given by a person on the spot, so relative to where that person stands.
    ...(escrow.privateKey === undefined ? {} : { privateKey: resolve(expandHome(escrow.privateKey)) }),
    ...(escrow.passphrase === undefined ? {} : { passphrase: escrow.passphrase }),
  };
}

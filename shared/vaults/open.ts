// Opens vaults by address and key recipients by kind: one line per kind, the heavy libraries loaded when they are needed.
import { resolve } from 'node:path';
import type { TokenCredential } from '@azure/identity';
import type { z } from 'zod';
import { UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import type { Secret } from '../step/input.ts';
import type { Clock } from '../tools/clock.ts';
import { pathOfFileUrl } from '../tools/file-url.ts';
import type { EscrowOptions } from './escrow-recipient.ts';
import type { KeyVaultOptions } from './key-vault-requests.ts';
import type { KeyRecipient, RecipientKind, Vault } from './vault.ts';

export interface OpenOptions {
  /** Signs in to Azure; asked only when a Key Vault is opened. */
  credential?: () => TokenCredential | Promise<TokenCredential>;
  /** Certificates to trust besides the usual ones (PEM). */
  tlsOptions?: { ca?: string };
  /** Milliseconds one vault operation may wait for a busy vault. */
  patience?: number;
  /** Relative paths start here. Default: the working folder. */
  baseFolder?: string;
  /** A folder must be there already; without it the first key makes it. */
  mustExist?: boolean | undefined;
  clock?: Clock | undefined;
}

export interface RecipientOptions extends OpenOptions {
  /** The vault that keeps keys; not needed for a `key-vault-key` with a full address, nor for `escrow`. */
  vault?: Vault;
  /** For unwrapping by escrow. */
  escrow?: { privateKey?: string | undefined; passphrase?: Secret | undefined };
}

/** Every kind of vault, by the name that dr.yml calls it. Schemas and libraries are loaded when they are needed. */
export const VAULTS = {
  'azure-key-vault': {
    schema: async () => (await import('./azure-key-vault-schema.ts')).schema,
    open: async ({ url }: { url: string }, options: OpenOptions): Promise<Vault> =>
      new (await import('./azure-key-vault.ts')).AzureKeyVault(url, await keyVaultOptions(options)),
  },
  folder: {
    schema: async () => (await import('./folder-schema.ts')).schema,
    open: async ({ path }: { path: string }, options: OpenOptions): Promise<Vault> =>
      new (await import('./folder.ts')).FolderVault(resolve(options.baseFolder ?? '', expandHome(path)), options),
  },
};

export type VaultSchema = Awaited<ReturnType<(typeof VAULTS)[keyof typeof VAULTS]['schema']>>;

/** A vault as `dr.yml` says it, references resolved. */
export type VaultConfig = z.infer<VaultSchema>;

/**
 * Opens a vault.
 * @param address `https://<name>.vault.azure.net`, a folder, a `file:` URL, or what `dr.yml` has under `vault`
 * @throws UsageError, VaultError when the address is not one of a vault
 */
export async function openVault(address: string | VaultConfig, options: OpenOptions = {}): Promise<Vault> {
  const config = typeof address === 'string' ? vaultConfig(address) : address;
  const open = VAULTS[config.kind].open as (config: VaultConfig, options: OpenOptions) => Promise<Vault>;
  return open(config, options);
}

/** What kind of vault an address means. @throws UsageError */
export function vaultConfig(address: string): VaultConfig {
  if (/^https:\/\//i.test(address)) return { kind: 'azure-key-vault', url: address };
  if (/^file:\/\//i.test(address)) return { kind: 'folder', path: pathOfFileUrl(address) };
  // Two letters or more: `C:\keys` is a folder.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1];
  if (scheme !== undefined) {
    throw new UsageError(`${JSON.stringify(address)} is not a vault: ${scheme} addresses are not known.`, {
      fix: 'Give https://<name>.vault.azure.net, or the path of a folder.',
    });
  }
  return { kind: 'folder', path: expandHome(address) };
}

type OpenRecipient = (config: RecipientConfig, options: RecipientOptions) => Promise<KeyRecipient>;

const secretOf =
  (vault: VaultConfig['kind'], recipient: RecipientKind): OpenRecipient =>
  (_config, options) =>
    secretRecipient(vault, recipient, options);
const vaultKey: OpenRecipient = async (config, options) =>
  new (await import('./vault-key-recipient.ts')).VaultKeyRecipient(keyAddress(config, options.vault), await keyVaultOptions(options));
const escrow: OpenRecipient = async (config, options) =>
  (await import('./escrow-recipient.ts')).EscrowRecipient.open(escrowFiles(config, options));

const secretSchemas = () => import('./secret-recipient-schema.ts');

/** Every kind of recipient, by the name that dr.yml calls it. */
export const RECIPIENTS = {
  'key-vault-secret': { schema: async () => (await secretSchemas()).keyVaultSecret, open: secretOf('azure-key-vault', 'key-vault-secret') },
  'key-vault-key': { schema: async () => (await import('./vault-key-recipient-schema.ts')).schema, open: vaultKey },
  escrow: { schema: async () => (await import('./escrow-recipient-schema.ts')).schema, open: escrow },
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

function perBackupKind(vault: Vault | undefined): RecipientKind {
  return vault?.kind === 'folder' ? 'folder' : 'key-vault-secret';
}

async function secretRecipient(vaultKind: string, recipient: RecipientKind, { vault }: RecipientOptions): Promise<KeyRecipient> {
  if (vault?.kind !== vaultKind) {
    const have = vault ? `the vault is ${vault.location}` : 'no vault is set';
    throw new UsageError(`The key recipient ${recipient} needs a vault of kind ${vaultKind}, but ${have}.`, {
      fix: vaultKind === 'folder' ? 'Set vault to a folder.' : 'Set vault to https://<name>.vault.azure.net.',
    });
  }
  return new (await import('./secret-recipient.ts')).SecretRecipient(vault);
}

function keyAddress(config: RecipientConfig, vault: Vault | undefined): string {
  const key = config.kind === 'key-vault-key' ? config.key : '';
  if (/^https?:\/\//i.test(key)) return key;
  if (vault?.kind === 'azure-key-vault') return `${vault.location}/keys/${key}`;
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

async function keyVaultOptions({ credential, tlsOptions, patience, clock }: OpenOptions): Promise<KeyVaultOptions> {
  if (!credential) {
    throw new UsageError('A Key Vault needs an Azure identity, and none is set up.', {
      fix: 'Sign in to Azure, for example with azure/login.',
    });
  }
  return {
    credential: await credential(),
    ...(tlsOptions === undefined ? {} : { tlsOptions }),
    ...(patience === undefined ? {} : { patience }),
    ...(clock === undefined ? {} : { clock }),
  };
}

// A kind of vault: all that the registry in open.ts knows of it. Light: its schema and the vault itself are loaded when they are needed.
import type { TokenCredential } from '@azure/core-auth';
import type { z } from 'zod';
import type { Clock } from '../tools/clock.ts';
import type { RecipientKind, Vault } from './vault.ts';

export interface OpenVaultOptions {
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

/** Recipients that keep a key of its own for each backup, one for each kind of vault. */
export type PerBackupKind = Extract<RecipientKind, 'key-vault-secret' | 'folder'>;

/** One kind of vault. `S` is the schema of its entry in dr.yml, from which the type of what it opens follows. */
export interface VaultKind<S extends z.ZodType> {
  /** Loads the schema of its entry in dr.yml. */
  readonly schema: () => Promise<S>;
  /** What an address looks like, for messages. */
  readonly address: string;
  /** What its addresses begin with, before the colon. */
  readonly schemes: readonly string[];
  parse(address: string): z.infer<S>;
  /** Opens it; nothing is sent or created yet. */
  open(config: z.infer<S>, options: OpenVaultOptions): Promise<Vault>;
  /** Name of the vault at a location, where its rights are roles of Azure. */
  azureName?(location: string): string;
  /** The kind of recipient that keeps a key of its own for each backup in it. */
  readonly perBackup: PerBackupKind;
  /** The address of a key that lies in it, where it has keys that never leave it. */
  keyAddress?(vault: string, key: string): string;
}

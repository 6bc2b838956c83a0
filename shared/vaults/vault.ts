// The small interfaces behind which vaults and key recipients live.

/** What a vault lists without revealing values. */
export interface VaultSecretInfo {
  name: string;
  contentType?: string;
  tags: Readonly<Record<string, string>>;
  created: Date;
  updated: Date;
}

/** One version of a secret, without its value. */
export interface VaultSecretVersion extends VaultSecretInfo {
  /** Names this version for ever: the full URL with version in a Key Vault, `<name>/<version>` in a folder. */
  id: string;
  version: string;
}

export interface VaultSecret extends VaultSecretVersion {
  value: string;
}

/** A secret that was deleted and can still be brought back. */
export interface DeletedSecret {
  name: string;
  deleted?: Date;
  /** When it goes for good. */
  purges?: Date;
  /** What a person types to bring it back. */
  recoverCommand: string;
}

/**
 * A place for secrets. Names are letters, digits and dashes, and upper and lower case are the same name (as in Key Vault): `secretName`
 * makes such a name of any text. Methods throw VaultError (a UserError) naming the vault, the secret's name and the cause; never a value.
 */
export interface Vault {
  /** `azure-key-vault`, `folder`, … */
  readonly kind: string;
  /** Where it is, for people and records; no secrets. An address that opens the same vault again. */
  readonly location: string;
  /** The largest value in bytes of UTF-8. */
  readonly maxValueBytes: number;
  /**
   * Writes a new version. A softly deleted name is recovered first. Safe against lost answers: a value that is already the latest
   * one after an interrupted attempt is not written twice.
   * @throws VaultError when the value is over the vault's limit
   */
  set(
    name: string,
    value: string,
    options?: { contentType?: string; tags?: Record<string, string>; signal?: AbortSignal | undefined },
  ): Promise<VaultSecretVersion>;
  /** Reads a version, the latest unless one is named; undefined when there is none or it is deleted: see `deleted`. */
  get(name: string, signal?: AbortSignal, version?: string): Promise<VaultSecret | undefined>;
  list(signal?: AbortSignal): AsyncIterable<VaultSecretInfo>;
  /** Deletes all versions (softly where the vault can). False when it was not there. */
  delete(name: string, signal?: AbortSignal): Promise<boolean>;
  /** What is known of a softly deleted secret; undefined when there is nothing to bring back. */
  deleted(name: string, signal?: AbortSignal): Promise<DeletedSecret | undefined>;
  /** Brings a softly deleted secret back, with all versions, and waits until it can be read. False when there is nothing to bring back. */
  recover(name: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Removes a softly deleted secret for good: for probes, never for keys. `false` when the vault protects it (purge protection, a missing
   * permission) and keeps it for its retention time. Absent where nothing is kept after a delete.
   */
  purge?(name: string, signal?: AbortSignal): Promise<boolean>;
  /** The parts of an id of this vault; undefined when the id belongs elsewhere. */
  parseId(id: string): { name: string; version: string } | undefined;
}

/** The kinds of recipients. */
export type RecipientKind = 'key-vault-secret' | 'key-vault-key' | 'escrow' | 'folder';

/** A content key wrapped for one recipient, as the manifest and the blob's `encryptiondata` hold it. */
export type WrappedKey = {
  kind: RecipientKind;
  /** What opens it: the secret's or key's full URL with version, a folder key's name, an escrow key's fingerprint. Azure CSE's KeyId. */
  keyId: string;
  /** Azure CSE's wrap algorithm. */
  algorithm: 'A256KW' | 'RSA-OAEP-256';
  /** Base64 of the wrapped bytes. */
  encryptedKey: string;
};

export interface KeyContext {
  component: string;
  timestamp: string;
  /** Where the backup goes, as a digest; kept with a per-backup key. */
  store?: string;
  signal?: AbortSignal | undefined;
}

/** One way to open a backup, each on its own. Wraps and unwraps the 40 bytes "2.0" + five zero bytes + content key. */
export interface KeyRecipient {
  readonly kind: RecipientKind;
  /** For people and records: the vault's address, the escrow key's fingerprint. */
  readonly location: string;
  /**
   * Wraps for this recipient. When it returns, whatever is needed to unwrap is stored AND has been read back
   * (escrow: nothing to store; the public key is enough).
   */
  wrap(key: Uint8Array, context: KeyContext): Promise<WrappedKey>;
  /** Unwraps. @throws KeyMissingError saying which key is missing where and what to do; VerificationError when the unwrapping fails its check. */
  unwrap(wrapped: WrappedKey, context: KeyContext): Promise<Uint8Array>;
  /** True for one that cannot open by nature, such as the public half of an escrow key. */
  readonly wrapsOnly?: boolean;
  /** True when this recipient is the one to ask for that wrapped key. */
  matches(wrapped: WrappedKey): boolean;
  /** Timestamps of the component's backups in a store (the context's digest) whose keys are kept; absent where no key tells of its backup. */
  backupsIn?(store: string, component: string, signal?: AbortSignal): Promise<string[]>;
  /** Deletes the per-backup key where there is one (key-vault-secret, folder); false when nothing was there. Long-lived keys are never touched. */
  forget(wrapped: WrappedKey, signal?: AbortSignal): Promise<boolean>;
}

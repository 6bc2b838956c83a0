// The small interfaces behind which vaults and key recipients live.

export interface VaultSecret {
  name: string;
  version: string;
  value: string;
  contentType?: string;
  tags: Readonly<Record<string, string>>;
  created: Date;
}

/** What a vault lists without revealing values. */
export interface VaultSecretInfo {
  name: string;
  contentType?: string;
  tags: Readonly<Record<string, string>>;
  created: Date;
  updated: Date;
}

/** A place for secrets. Methods throw VaultError (a UserError) naming the vault, the secret's name and the cause; never a value. */
export interface Vault {
  /** `azure-key-vault`, `folder`, … */
  readonly kind: string;
  /** Where it is, for people and records; no secrets. */
  readonly location: string;
  /** Writes a new version. A soft-deleted name is recovered first. @throws VaultError when the value is over the vault's limit. */
  set(
    name: string,
    value: string,
    options?: { contentType?: string; tags?: Record<string, string>; signal?: AbortSignal | undefined },
  ): Promise<VaultSecretInfo>;
  /** Reads the latest version; undefined when there is none (or it is soft-deleted: see `recover`). */
  get(name: string, signal?: AbortSignal): Promise<VaultSecret | undefined>;
  list(signal?: AbortSignal): AsyncIterable<VaultSecretInfo>;
  /** Deletes (softly where the vault can). False when it was not there. */
  delete(name: string, signal?: AbortSignal): Promise<boolean>;
}

/** The recipients DESIGN section 6 names. */
export type RecipientKind = 'key-vault-secret' | 'key-vault-key' | 'escrow' | 'folder';

/** A content key wrapped for one recipient, as the manifest and the blob's `encryptiondata` hold it. */
export interface WrappedKey {
  kind: RecipientKind;
  /** What opens it: the secret's or key's full URL with version, a folder key's name, an escrow key's fingerprint. Azure CSE's KeyId. */
  keyId: string;
  /** Azure CSE's wrap algorithm. */
  algorithm: 'A256KW' | 'RSA-OAEP-256';
  /** Base64 of the wrapped bytes. */
  encryptedKey: string;
}

export interface KeyContext {
  component: string;
  timestamp: string;
  signal?: AbortSignal | undefined;
}

/** Somebody who can open a backup on their own. Wraps and unwraps the 40 bytes "2.0" + five zero bytes + content key. */
export interface KeyRecipient {
  readonly kind: RecipientKind;
  /** For people and records: the vault's address, the escrow key's fingerprint. */
  readonly location: string;
  /**
   * Wraps for this recipient. When it returns, whatever is needed to unwrap is stored AND has been read back
   * (escrow: nothing to store; the public key is enough).
   */
  wrap(key: Uint8Array, context: KeyContext): Promise<WrappedKey>;
  /** Unwraps. @throws VaultError saying which key is missing where and what to do; VerificationError when the unwrapping fails its check. */
  unwrap(wrapped: WrappedKey, context: KeyContext): Promise<Uint8Array>;
  /** True when this recipient is the one to ask for that wrapped key. */
  matches(wrapped: WrappedKey): boolean;
  /** Deletes the per-backup key where there is one (key-vault-secret, folder); false when nothing was there. Long-lived keys are never touched. */
  forget(wrapped: WrappedKey, signal?: AbortSignal): Promise<boolean>;
}

// The recipient `escrow`: an RSA public key whose private half lies off line; it opens backups when every vault is gone.
import { constants, createHash, createPrivateKey, createPublicKey, privateDecrypt, publicEncrypt, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { errorMessage, UsageError, VerificationError } from '../../step/errors.ts';
import type { Secret } from '../../step/input.ts';
import { KeyMissingError } from '../errors.ts';
import type { KeyContext, KeyRecipient, WrappedKey } from '../vault.ts';

const ALGORITHM = 'RSA-OAEP-256';
const OAEP = { oaepHash: 'sha256', padding: constants.RSA_PKCS1_OAEP_PADDING };
/** An escrow key lives for years: 128 bits of security (NIST SP 800-57 part 1, table 2). */
const MIN_BITS = 3072;

export interface EscrowOptions {
  /** PEM file with the public key (or a certificate). Needed for wrapping; derived from the private key when absent. */
  publicKey?: string;
  /** PEM file with the private key. Needed for unwrapping only; kept off line otherwise. */
  privateKey?: string;
  /** Of the private key, when it has one. */
  passphrase?: Secret;
}

export class EscrowRecipient implements KeyRecipient {
  readonly kind = 'escrow';
  /** `sha256:<hex>` of the public key (SPKI, DER): `openssl pkey -pubin -in public.pem -outform DER | sha256sum` shows the same. */
  readonly location: string;
  readonly #publicKey: KeyObject;
  readonly #privateKey: KeyObject | undefined;

  private constructor(publicKey: KeyObject, privateKey: KeyObject | undefined) {
    this.#publicKey = publicKey;
    this.#privateKey = privateKey;
    this.location = fingerprint(publicKey);
  }

  /** @throws UsageError when a file cannot be read, is no RSA key of 3072 bits or more, or the two do not belong together */
  static async open({ publicKey, privateKey, passphrase }: EscrowOptions): Promise<EscrowRecipient> {
    const opened = privateKey === undefined ? undefined : await readPrivateKey(privateKey, passphrase);
    if (publicKey === undefined && !opened) {
      throw new UsageError('An escrow recipient needs a key.', {
        fix: 'Give the public key file for backups, the private key file for restores.',
      });
    }
    const shown = publicKey === undefined ? createPublicKey(opened as KeyObject) : await readPublicKey(publicKey);
    if (opened && fingerprint(createPublicKey(opened)) !== fingerprint(shown)) {
      throw new UsageError(`The private key ${privateKey} does not belong to the public key ${publicKey}.`, {
        fix: 'Give the two halves of one key, or only the private one.',
      });
    }
    return new EscrowRecipient(shown, opened);
  }

  get wrapsOnly(): boolean {
    return this.#privateKey === undefined;
  }

  async wrap(key: Uint8Array): Promise<WrappedKey> {
    const encryptedKey = publicEncrypt({ key: this.#publicKey, ...OAEP }, key).toString('base64');
    return { kind: this.kind, keyId: this.location, algorithm: ALGORITHM, encryptedKey };
  }

  async unwrap(wrapped: WrappedKey, { component, timestamp }: KeyContext): Promise<Uint8Array> {
    const backup = `backup ${component} ${timestamp}`;
    if (!this.matches(wrapped) || wrapped.algorithm !== ALGORITHM) {
      throw new KeyMissingError(`The escrow key given (${this.location}) is not the one of ${backup} (${wrapped.keyId}).`, {
        fix: 'Give the private key with that fingerprint.',
      });
    }
    if (!this.#privateKey) {
      throw new KeyMissingError(`Opening ${backup} by escrow needs the private key with the fingerprint ${this.location}.`, {
        fix: 'Fetch it from where it is kept off line and give its file.',
      });
    }
    try {
      return privateDecrypt({ key: this.#privateKey, ...OAEP }, Buffer.from(wrapped.encryptedKey, 'base64'));
    } catch (cause) {
      throw new VerificationError(`The escrow key does not open ${backup}: the wrapped key was changed.`, {
        fix: 'Open the backup with another recipient, or restore an earlier backup.',
        cause,
      });
    }
  }

  matches(wrapped: WrappedKey): boolean {
    return wrapped.kind === this.kind && wrapped.keyId === this.location;
  }

  /** A long-lived key is never touched. */
  async forget(): Promise<boolean> {
    return false;
  }
}

function fingerprint(publicKey: KeyObject): string {
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(der).digest('hex')}`;
}

async function readPublicKey(file: string): Promise<KeyObject> {
  const pem = await readPem(file);
  if (pem.includes('PRIVATE KEY')) {
    throw new UsageError(`${file} holds a private key; the escrow's private half must not be where backups are made.`, {
      fix: 'Take it off this machine and give the public half: openssl pkey -in private.pem -pubout -out public.pem.',
    });
  }
  return checked(file, () => createPublicKey(pem));
}

async function readPrivateKey(file: string, passphrase: Secret | undefined): Promise<KeyObject> {
  const pem = await readPem(file);
  const encrypted = pem.includes('ENCRYPTED');
  if (encrypted && !passphrase) {
    throw new UsageError(`The private key ${file} is protected by a passphrase.`, { fix: 'Give the passphrase as well.' });
  }
  return checked(file, () => {
    try {
      return createPrivateKey({ key: pem, ...(passphrase ? { passphrase: passphrase.reveal() } : {}) });
    } catch (cause) {
      if (!encrypted) throw cause;
      throw new UsageError(`The passphrase does not open the private key ${file}.`, { fix: 'Check the passphrase.', cause });
    }
  });
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`The escrow key file ${file} cannot be read: ${errorMessage(cause)}`, { fix: 'Check the path.', cause });
  }
}

function checked(file: string, parse: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = parse();
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(`${file} is not a PEM key file.`, {
      fix: 'Make a pair: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -aes256 -out private.pem, then openssl pkey -in private.pem -pubout -out public.pem.',
      cause,
    });
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa' || bits < MIN_BITS) {
    const what = key.asymmetricKeyType === 'rsa' ? `an RSA key of ${bits} bits` : `of type ${key.asymmetricKeyType}`;
    throw new UsageError(`The escrow key ${file} is ${what}; it must be RSA with at least ${MIN_BITS} bits.`, {
      fix: 'Make one with openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096.',
    });
  }
  return key;
}

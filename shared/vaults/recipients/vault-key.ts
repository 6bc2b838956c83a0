// The recipient `key-vault-key`: an RSA key that never leaves its Key Vault wraps and unwraps (RSA-OAEP-256).
import { timingSafeEqual } from 'node:crypto';
import { CryptographyClient, KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import type { PipelineRequest, PipelineResponse } from '@azure/core-rest-pipeline';
import { VerificationError } from '../../step/errors.ts';
import { KeyMissingError, VaultError } from '../errors.ts';
import { KeyVaultRequests, httpStatusOf, type Attempt, type KeyVaultOptions } from '../azure-key-vault/requests.ts';
import type { KeyContext, KeyRecipient, WrappedKey } from '../vault.ts';

const ALGORITHM = 'RSA-OAEP-256';
const KEY_ID = /^\/keys\/([0-9a-zA-Z-]{1,127})(?:\/([0-9a-f]*))?$/;

/** Bits below which RSA is refused (NIST SP 800-57: 2048 is the floor until 2030). */
const MIN_BITS = 2048;

/**
 * Keeps CryptographyClient from fetching the key first: with the key at hand it refuses an expired one by itself, while the service
 * still unwraps with it, and a backup must open however old its key is. "May not read the key" is the answer on which the client leaves
 * everything to the service; it also spares a request.
 */
const REMOTE_ONLY = {
  name: 'lifeboatRemoteOnlyPolicy',
  async sendRequest(request: PipelineRequest, next: (request: PipelineRequest) => Promise<PipelineResponse>): Promise<PipelineResponse> {
    if (request.method !== 'GET') return next(request);
    throw Object.assign(new Error('The key is not fetched.'), { name: 'RestError', statusCode: 403 });
  },
};

export class VaultKeyRecipient implements KeyRecipient {
  readonly kind = 'key-vault-key';
  readonly location: string;
  readonly #name: string;
  readonly #version: string | undefined;
  readonly #requests: KeyVaultRequests;
  readonly #client: KeyClient;

  /**
   * @param key address of the key, with a version to wrap with that one and without to wrap with the latest
   * @throws VaultError when it is not the address of a key
   */
  constructor(key: string, options: KeyVaultOptions) {
    const url = URL.canParse(key) ? new URL(key) : undefined;
    const match = KEY_ID.exec(url?.pathname ?? '');
    if (!url || !match) {
      throw new VaultError(`${JSON.stringify(key)} is not the address of a key in a Key Vault.`, {
        fix: 'Write it like https://kv-dr-prod.vault.azure.net/keys/backups.',
      });
    }
    this.#requests = new KeyVaultRequests(url.origin, options);
    this.#name = match[1] as string;
    this.#version = match[2] === '' ? undefined : match[2];
    this.location = `${this.#requests.url}/keys/${this.#name}`;
    this.#client = new KeyClient(this.#requests.url, this.#requests.credential, this.#requests.clientOptions);
  }

  async wrap(key: Uint8Array, context: KeyContext): Promise<WrappedKey> {
    const keyId = await this.#usableKey(context.signal);
    const bytes = await this.#run('wrap with', context.signal, async ({ options }) => {
      return (await this.#cryptography(keyId).wrapKey(ALGORITHM, key, options)).result;
    });
    const wrapped: WrappedKey = { kind: this.kind, keyId, algorithm: ALGORITHM, encryptedKey: Buffer.from(bytes).toString('base64') };
    // A key that wraps and cannot unwrap (a permission, key_ops) would make a backup that no one opens.
    const back = await this.unwrap(wrapped, context);
    if (back.length !== key.length || !timingSafeEqual(back, key)) {
      throw new VaultError(`The key ${this.location} does not unwrap what it wrapped.`, {
        fix: 'Choose another key; nothing was backed up with this one.',
      });
    }
    return wrapped;
  }

  async unwrap(wrapped: WrappedKey, { component, timestamp, signal }: KeyContext): Promise<Uint8Array> {
    if (!this.matches(wrapped) || wrapped.algorithm !== ALGORITHM) {
      throw new KeyMissingError(`The key ${wrapped.keyId} (${wrapped.algorithm}) is not ${this.location}.`, {
        fix: 'Give the key that the key id names.',
      });
    }
    return this.#run('unwrap with', signal, async ({ options }) => {
      try {
        const encrypted = Buffer.from(wrapped.encryptedKey, 'base64');
        return (await this.#cryptography(wrapped.keyId).unwrapKey(ALGORITHM, encrypted, options)).result;
      } catch (thrown) {
        if (httpStatusOf(thrown) === 404) throw await this.#missing(wrapped.keyId, signal);
        if (httpStatusOf(thrown) !== 400) throw thrown;
        throw new VerificationError(
          `The key ${wrapped.keyId} does not open backup ${component} ${timestamp}: the wrapped key was changed.`,
          {
            fix: 'Open the backup with another recipient, such as the escrow key, or restore an earlier backup.',
            cause: thrown,
          },
        );
      }
    });
  }

  matches(wrapped: WrappedKey): boolean {
    if (wrapped.kind !== this.kind || !URL.canParse(wrapped.keyId)) return false;
    const { origin, pathname } = new URL(wrapped.keyId);
    return origin === this.#requests.url && KEY_ID.exec(pathname)?.[1]?.toLowerCase() === this.#name.toLowerCase();
  }

  /** A long-lived key is never touched. */
  async forget(): Promise<boolean> {
    return false;
  }

  /** The key's id with version, checked for what can be known before using it. */
  async #usableKey(signal: AbortSignal | undefined): Promise<string> {
    const key = await this.#run('read', signal, async ({ options }) => {
      try {
        return await this.#client.getKey(this.#name, { ...options, ...(this.#version === undefined ? {} : { version: this.#version }) });
      } catch (thrown) {
        if (httpStatusOf(thrown) === 404) throw await this.#missing(this.location, signal);
        throw thrown;
      }
    });
    const problem = problemWith(key);
    if (problem !== undefined || key.id === undefined) {
      throw new VaultError(`The key ${this.location} cannot protect backups: ${problem ?? 'it has no id'}.`, {
        fix: `Make an RSA key: az keyvault key create --vault-name ${this.#vaultName()} --name ${this.#name} --kty RSA --size 3072.`,
      });
    }
    return key.id;
  }

  #cryptography(keyId: string): CryptographyClient {
    const additionalPolicies = [{ policy: REMOTE_ONLY, position: 'perCall' as const }];
    return new CryptographyClient(keyId, this.#requests.credential, { ...this.#requests.clientOptions, additionalPolicies });
  }

  async #missing(keyId: string, signal: AbortSignal | undefined): Promise<KeyMissingError> {
    try {
      await this.#client.getDeletedKey(this.#name, signal ? { abortSignal: signal } : {});
      return new KeyMissingError(`The key ${this.#name} was deleted from ${this.#requests.url}, but can be recovered.`, {
        fix: `Run: az keyvault key recover --vault-name ${this.#vaultName()} --name ${this.#name}`,
      });
    } catch {
      return new KeyMissingError(`There is no key ${keyId}.`, { fix: 'Open the backup with another recipient, such as the escrow key.' });
    }
  }

  #vaultName(): string {
    return new URL(this.#requests.url).hostname.split('.')[0] ?? '';
  }

  async #run<T>(verb: string, signal: AbortSignal | undefined, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    return this.#requests.run({ action: `${verb} the key ${this.#name}`, needs: 'keys' }, work, signal);
  }
}

function problemWith({ key, keyType, properties }: KeyVaultKey): string | undefined {
  if (keyType !== 'RSA' && keyType !== 'RSA-HSM') return `it is of type ${keyType}, not RSA`;
  const bits = (key?.n?.length ?? 0) * 8;
  if (bits < MIN_BITS) return `it has ${bits} bits, fewer than ${MIN_BITS}`;
  if (properties.enabled === false) return 'it is disabled';
  const missing = ['wrapKey', 'unwrapKey'].filter((operation) => !key?.keyOps?.includes(operation));
  return missing.length > 0 ? `it does not allow ${missing.join(' and ')}` : undefined;
}

// Azure Key Vault as a vault: secrets through @azure/keyvault-secrets.
import { SecretClient, type SecretProperties } from '@azure/keyvault-secrets';
import { VaultError } from '../errors.ts';
import { innerCodeOf, KeyVaultRequests, httpStatusOf, type Attempt, type KeyVaultOptions } from './requests.ts';
import { checkSecretName } from '../secret-name.ts';
import type { DeletedSecret, Vault, VaultSecret, VaultSecretInfo, VaultSecretVersion } from '../vault.ts';

/** "25k" of about-secrets; the service answers 400 above it. */
const MAX_VALUE_BYTES = 25_600;
/** Milliseconds to wait for a delete or a recovery in progress. Recoveries of more than 2 minutes were seen (terraform-provider-azurerm#19749). */
const TRANSITION_PATIENCE = 300_000;
const TRANSITION_PAUSE = 2000;
const TRANSITIONS = new Set(['ObjectIsBeingRecovered', 'ObjectIsBeingDeleted']);

interface SetOptions {
  contentType?: string;
  tags?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** How often a purge looks again for a secret that is not there yet; see TRANSITION_PAUSE. */
const PURGE_LOOKS = 3;

export class AzureKeyVault implements Vault {
  readonly kind = 'azure-key-vault';
  readonly location: string;
  readonly maxValueBytes = MAX_VALUE_BYTES;
  readonly #client: SecretClient;
  readonly #requests: KeyVaultRequests;

  /** @param url `https://<name>.vault.azure.net` @throws VaultError when it is not such an address */
  constructor(url: string, options: KeyVaultOptions) {
    this.#requests = new KeyVaultRequests(url, options);
    this.location = this.#requests.url;
    this.#client = new SecretClient(this.location, this.#requests.credential, this.#requests.clientOptions);
  }

  async set(name: string, value: string, options: SetOptions = {}): Promise<VaultSecretVersion> {
    checkSecretName(name, this.location);
    const bytes = Buffer.byteLength(value);
    if (bytes > MAX_VALUE_BYTES) {
      throw new VaultError(`The secret ${name} has ${bytes} bytes; a Key Vault takes at most ${MAX_VALUE_BYTES}.`, {
        fix: 'Split the value over several secrets, or keep it encrypted in a store.',
      });
    }
    const { contentType, tags } = options;
    const properties = { ...(contentType === undefined ? {} : { contentType }), ...(tags === undefined ? {} : { tags }) };
    return this.#throughTransitions(name, 'store', options.signal, async (attempt) => {
      // An answer was lost: the version may be there already.
      const done = attempt.unsure ? await this.#sameAsLatest(name, value, properties, attempt) : undefined;
      if (done) return done;
      try {
        return versionOf((await this.#client.setSecret(name, value, { ...properties, ...attempt.options })).properties);
      } catch (thrown) {
        if (innerCodeOf(thrown) !== 'ObjectIsDeletedButRecoverable') throw thrown;
        await this.#startRecovery(name, attempt);
        return 'again';
      }
    });
  }

  async get(name: string, signal?: AbortSignal, version?: string): Promise<VaultSecret | undefined> {
    checkSecretName(name, this.location);
    return this.#run(name, 'read', signal, async (attempt) => this.#read(name, attempt, version));
  }

  async *list(signal?: AbortSignal): AsyncIterable<VaultSecretInfo> {
    // Collected whole: a list that broke in the middle starts again instead of ending early.
    const found = await this.#requests.run(
      { action: 'list the secrets', needs: 'secrets' },
      async ({ options }) => {
        const all: VaultSecretInfo[] = [];
        for await (const properties of this.#client.listPropertiesOfSecrets(options)) all.push(infoOf(properties));
        return all;
      },
      signal,
    );
    yield* found;
  }

  async delete(name: string, signal?: AbortSignal): Promise<boolean> {
    checkSecretName(name, this.location);
    return this.#throughTransitions(name, 'delete', signal, async (attempt) => {
      try {
        await this.#client.beginDeleteSecret(name, attempt.options);
        return true;
      } catch (thrown) {
        if (httpStatusOf(thrown) !== 404) throw thrown;
        // After a lost answer, "not there" means that it was deleted.
        return attempt.unsure;
      }
    });
  }

  async deleted(name: string, signal?: AbortSignal): Promise<DeletedSecret | undefined> {
    checkSecretName(name, this.location);
    return this.#run(name, 'look for the deleted', signal, async ({ options }) => {
      try {
        const { properties, deletedOn, scheduledPurgeDate } = await this.#client.getDeletedSecret(name, options);
        const vaultName = new URL(this.location).hostname.split('.')[0];
        return {
          name: properties.name,
          ...(deletedOn ? { deleted: deletedOn } : {}),
          ...(scheduledPurgeDate ? { purges: scheduledPurgeDate } : {}),
          recoverCommand: `az keyvault secret recover --vault-name ${vaultName} --name ${name}`,
        };
      } catch (thrown) {
        if (httpStatusOf(thrown) === 404) return undefined;
        throw thrown;
      }
    });
  }

  async recover(name: string, signal?: AbortSignal): Promise<boolean> {
    checkSecretName(name, this.location);
    let started = false;
    return this.#throughTransitions(name, 'recover', signal, async (attempt) => {
      if (await this.#read(name, attempt)) return started || attempt.unsure;
      const underWay = await this.#startRecovery(name, attempt);
      if (!underWay && !started) return false;
      started = true;
      return 'again';
    });
  }

  async purge(name: string, signal?: AbortSignal): Promise<boolean> {
    checkSecretName(name, this.location);
    let looked = 0;
    return this.#throughTransitions(name, 'purge', signal, async ({ options }) => {
      try {
        await this.#client.purgeDeletedSecret(name, options);
        return true;
      } catch (thrown) {
        const status = httpStatusOf(thrown);
        if (status === 403) return false;
        if (status !== 404) throw thrown;
        // A delete takes some seconds until its secret can be purged.
        looked += 1;
        return looked > PURGE_LOOKS ? true : ('again' as const);
      }
    });
  }

  parseId(id: string): { name: string; version: string } | undefined {
    const url = URL.canParse(id) ? new URL(id) : undefined;
    if (url?.origin !== this.location) return undefined;
    const match = /^\/secrets\/([0-9a-zA-Z-]{1,127})\/([0-9a-f]+)$/.exec(url.pathname);
    return match ? { name: match[1] as string, version: match[2] as string } : undefined;
  }

  async #read(name: string, { options }: Attempt, version?: string): Promise<VaultSecret | undefined> {
    try {
      const { value, properties } = await this.#client.getSecret(name, { ...options, ...(version === undefined ? {} : { version }) });
      if (value === undefined) throw new VaultError(`The secret ${name} in ${this.location} has no value.`);
      return { ...versionOf(properties), value };
    } catch (thrown) {
      if (httpStatusOf(thrown) === 404) return undefined;
      throw thrown;
    }
  }

  async #sameAsLatest(
    name: string,
    value: string,
    { contentType, tags = {} }: { contentType?: string; tags?: Record<string, string> },
    attempt: Attempt,
  ): Promise<VaultSecretVersion | undefined> {
    const latest = await this.#read(name, attempt);
    if (latest?.value !== value || latest.contentType !== contentType) return undefined;
    if (!Object.entries(tags).every(([tag, text]) => latest.tags[tag] === text)) return undefined;
    return withoutValue(latest);
  }

  /** False when there is nothing to recover (any more). */
  async #startRecovery(name: string, { options }: Attempt): Promise<boolean> {
    try {
      await this.#client.beginRecoverDeletedSecret(name, options);
      return true;
    } catch (thrown) {
      // 404: purged or recovered meanwhile; 409: a delete or another recovery is under way. The next attempt shows.
      const status = httpStatusOf(thrown);
      if (status !== 404 && status !== 409) throw thrown;
      return status === 409;
    }
  }

  /** Repeats `work` while it says `again`, or the vault says that a delete or a recovery of the name is still under way. */
  async #throughTransitions<T>(
    name: string,
    verb: string,
    signal: AbortSignal | undefined,
    work: (attempt: Attempt) => Promise<T | 'again'>,
  ): Promise<T> {
    const { clock } = this.#requests;
    const started = clock.monotonic();
    for (;;) {
      const result = await this.#run(name, verb, signal, async (attempt) => {
        try {
          return await work(attempt);
        } catch (thrown) {
          if (TRANSITIONS.has(innerCodeOf(thrown) ?? '')) return 'again' as const;
          throw thrown;
        }
      });
      if (result !== 'again') return result;
      if (clock.monotonic() - started > TRANSITION_PATIENCE) {
        throw new VaultError(`Could not ${verb} the secret ${name}: ${this.location} is still deleting or recovering it after 5 minutes.`, {
          fix: 'Run again in a few minutes.',
        });
      }
      await clock.sleep(TRANSITION_PAUSE, signal);
    }
  }

  async #run<T>(name: string, verb: string, signal: AbortSignal | undefined, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    return this.#requests.run({ action: `${verb} the secret ${name}`, needs: 'secrets' }, work, signal);
  }
}

function withoutValue({ id, name, version, contentType, tags, created, updated }: VaultSecret): VaultSecretVersion {
  return { id, name, version, ...(contentType === undefined ? {} : { contentType }), tags, created, updated };
}

function infoOf(properties: SecretProperties): VaultSecretInfo {
  const { name, contentType, tags = {}, createdOn, updatedOn } = properties;
  const created = createdOn ?? new Date(0);
  return { name, ...(contentType === undefined ? {} : { contentType }), tags, created, updated: updatedOn ?? created };
}

function versionOf(properties: SecretProperties): VaultSecretVersion {
  const { id, version } = properties;
  if (id === undefined || version === undefined)
    throw new VaultError(`The vault's answer about the secret ${properties.name} names no version.`);
  return { ...infoOf(properties), id, version };
}

// How this project talks to a Key Vault: bounded waiting for a busy service, and errors that say what to do.
import type { TokenCredential } from '@azure/identity';
import { CancelledError, errorMessage, isDefect, throwIfCancelled, UserError } from '../../step/errors.ts';
import { azureProxy, type ProxySettings } from '../../tools/proxy.ts';
import { systemClock, type Clock } from '../../tools/clock.ts';
import { delayAfter, retryAfterMs, type Backoff } from '../../tools/retry.ts';
import { VaultError } from '../errors.ts';

export interface KeyVaultOptions {
  credential: TokenCredential;
  /** Certificates to trust besides the usual ones (PEM); for private installations. */
  tlsOptions?: { ca?: string };
  /** How long one operation may wait for a vault that throttles or is down, in milliseconds. Default 2 minutes. */
  patience?: number;
  clock?: Clock | undefined;
}

/** Milliseconds one HTTP request may take. */
const REQUEST_TIMEOUT = 30_000;
/** Up to half more than the doubling pause. */
const BACKOFF: Backoff = { firstMs: 500, longestMs: 15_000, spread: [1, 1.5] };
const BUSY = new Set([408, 429, 500, 502, 503, 504]);
const BROKEN_CONNECTION = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  // What the SDK calls an answer that broke off in the middle.
  'PARSE_ERROR',
]);

/** No connection came about at all: waiting long for a vault that is not there keeps a person waiting for nothing. */
const NO_ONE_THERE = new Set(['ECONNREFUSED', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH']);
const PATIENCE_FOR_NO_ONE = 15_000;

/** What an operation is about, for messages. */
export interface Subject {
  /** Continues "Could not": `store the secret x`. */
  action: string;
  /** What the identity needs: decides which role a 403 names. */
  needs: 'secrets' | 'keys';
}

/** What an attempt knows of those before it. */
export interface Attempt {
  signal: AbortSignal | undefined;
  /** True when an earlier attempt may have done its work although no answer came. */
  unsure: boolean;
  /** For `@azure/keyvault-*` calls. */
  options: { abortSignal?: AbortSignal; requestOptions: { timeout: number } };
}

/** The parts of an error of `@azure/core-rest-pipeline` that matter here. */
interface ServiceError extends Error {
  statusCode?: number;
  code?: string;
  details?: { error?: { code?: string; message?: string; innerError?: { code?: string } } };
  response?: { headers: { get(name: string): string | undefined } };
}

export class KeyVaultRequests {
  readonly url: string;
  readonly credential: TokenCredential;
  readonly #options: KeyVaultOptions;
  readonly #clock: Clock;

  /** @throws VaultError when the address is not that of a vault */
  constructor(url: string, options: KeyVaultOptions) {
    this.url = vaultAddress(url);
    this.credential = options.credential;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** Options for `SecretClient`, `KeyClient` and `CryptographyClient`. */
  get clientOptions(): {
    retryOptions: { maxRetries: number };
    disableChallengeResourceVerification: boolean;
    tlsOptions?: { ca?: string };
    proxyOptions?: ProxySettings;
  } {
    const { hostname } = new URL(this.url);
    return {
      // Repeating is done here: the SDK would wait for any Retry-After and cannot know when a write must be looked at first.
      retryOptions: { maxRetries: 0 },
      // Only on this very machine may the vault's host differ from the resource that tokens are for.
      disableChallengeResourceVerification: hostname === 'localhost' || hostname === '127.0.0.1',
      ...azureProxy(this.url),
      ...(this.#options.tlsOptions === undefined ? {} : { tlsOptions: this.#options.tlsOptions }),
    };
  }

  /**
   * Does `work`, again while the vault is busy or the connection breaks, within the time allowed.
   * @throws VaultError saying what to do; CancelledError
   */
  async run<T>(subject: Subject, work: (attempt: Attempt) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const patience = this.#options.patience ?? 120_000;
    const started = this.#clock.monotonic();
    let unsure = false;
    for (let tries = 1; ; tries += 1) {
      throwIfCancelled(signal);
      try {
        const options = { ...(signal ? { abortSignal: signal } : {}), requestOptions: { timeout: REQUEST_TIMEOUT } };
        return await work({ signal, unsure, options });
      } catch (thrown) {
        if (signal?.aborted) throw new CancelledError('Cancelled.', { cause: thrown });
        if (!mayPass(thrown)) throw this.explain(thrown, subject);
        unsure ||= (thrown as ServiceError).statusCode !== 429;
        const limit = NO_ONE_THERE.has((thrown as ServiceError).code ?? '') ? Math.min(patience, PATIENCE_FOR_NO_ONE) : patience;
        const left = limit - (this.#clock.monotonic() - started);
        const pause = pauseBefore(thrown as ServiceError, tries, this.#clock.now());
        if (pause > left) throw this.#gaveUp(thrown as ServiceError, subject, tries);
        await this.#clock.sleep(pause, signal);
      }
    }
  }

  /** A VaultError for whatever the SDK threw; UserErrors pass unchanged. @throws what was thrown when it is a defect of the program */
  explain(thrown: unknown, subject: Subject): UserError {
    if (thrown instanceof UserError) return thrown;
    if (isDefect(thrown)) throw thrown;
    const error = thrown as ServiceError;
    const head = `Could not ${subject.action} in ${this.url}`;
    if (error.statusCode === undefined) return this.#unreachable(error, head);
    const { message = errorMessage(thrown), code } = error.details?.error ?? {};
    if (error.statusCode === 401) {
      return new VaultError(`${head}: the vault does not accept the token (${firstLine(message)}).`, {
        fix: 'Sign in to the tenant that the vault belongs to.',
        cause: thrown,
      });
    }
    if (error.statusCode === 403) return this.#forbidden(error, head, subject);
    return new VaultError(`${head}: ${code ?? `status ${error.statusCode}`}: ${firstLine(message)}`, { cause: thrown });
  }

  #forbidden(error: ServiceError, head: string, subject: Subject): VaultError {
    const { message = error.message, innerError } = error.details?.error ?? {};
    const inner = innerError?.code ?? '';
    const vaultName = new URL(this.url).hostname.split('.')[0] ?? '';
    if (inner === 'ForbiddenByFirewall' || inner === 'ForbiddenByConnection') {
      const address = /Client address: ([0-9a-fA-F.:]+)/.exec(message)?.[1];
      return new VaultError(`${head}: the vault's firewall refuses this machine${address ? ` (${address})` : ''}.`, {
        fix: address
          ? `Allow it: az keyvault network-rule add --name ${vaultName} --ip-address ${address}, or run on an agent inside the vault's network.`
          : "Run on an agent inside the vault's network, or allow public access to the vault from selected addresses.",
        cause: error,
      });
    }
    if (inner.endsWith('Disabled') || inner.endsWith('Expired') || inner.endsWith('NotYetValid') || inner === 'KeyOperationForbidden') {
      return new VaultError(`${head}: ${firstLine(message)}`, {
        fix: `Look at its attributes in the vault ${vaultName}: it must be enabled, valid today, and a key must allow wrapKey and unwrapKey.`,
        cause: error,
      });
    }
    const caller = /appid=([0-9a-fA-F-]{36})/.exec(message)?.[1];
    const [role, policy] =
      subject.needs === 'secrets'
        ? ['Key Vault Secrets Officer', '--secret-permissions get list set delete recover']
        : ['Key Vault Crypto User', '--key-permissions get wrapKey unwrapKey'];
    return new VaultError(`${head}: the identity${caller ? ` ${caller}` : ''} may not do that.`, {
      fix: `Give it the role "${role}" on the vault (takes some minutes to work), or with access policies: az keyvault set-policy --name ${vaultName} --spn ${caller ?? '<client id>'} ${policy}.`,
      cause: error,
    });
  }

  #unreachable(error: ServiceError, head: string): VaultError {
    const { hostname } = new URL(this.url);
    if (/Authentication|Credential/.test(error.name)) {
      return new VaultError(`${head}: signing in to Azure failed: ${firstLine(error.message)}`, {
        fix: 'Check the tenant id, the client id and the federated credential of the identity.',
        cause: error,
      });
    }
    if (error.code === 'ENOTFOUND') {
      return new VaultError(`${head}: there is no host ${hostname}.`, {
        fix: "Check the vault's name; with a private endpoint, run on an agent whose DNS knows it.",
        cause: error,
      });
    }
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(error.code ?? '')) {
      return new VaultError(`${head}: its certificate is not trusted (${error.code}).`, {
        fix: 'If a proxy re-signs traffic here, set NODE_EXTRA_CA_CERTS to its certificate.',
        cause: error,
      });
    }
    return new VaultError(`${head}: ${firstLine(error.message)}`, { cause: error });
  }

  #gaveUp(error: ServiceError, subject: Subject, tries: number): VaultError {
    const head = `Could not ${subject.action} in ${this.url}`;
    const times = tries === 1 ? '1 attempt' : `${tries} attempts`;
    if (error.statusCode === 429) {
      const seconds = error.response?.headers.get('retry-after');
      return new VaultError(`${head}: it throttles requests${seconds ? ` and asks to wait ${seconds} s` : ''}; gave up after ${times}.`, {
        fix: 'Run again later, or spread the runs that use this vault over more time.',
        cause: error,
      });
    }
    const why = error.statusCode === undefined ? firstLine(error.message) : `it answered ${error.statusCode}`;
    return new VaultError(`${head}: ${why}; gave up after ${times}.`, {
      fix: 'Check https://status.azure.com and the network between this machine and the vault, then run again.',
      cause: error,
    });
  }
}

/** `https://<host>[:port]` of an address. @throws VaultError when it is no https address, or has a path */
export function vaultAddress(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'https:' && url.pathname === '/' && url.search === '' && url.username === '') return url.origin;
  throw new VaultError(`${JSON.stringify(address)} is not the address of a Key Vault.`, {
    fix: 'Write it like https://kv-dr-prod.vault.azure.net.',
  });
}

/** The status of an answer, undefined when there was none. */
export function httpStatusOf(thrown: unknown): number | undefined {
  return (thrown as ServiceError | undefined)?.statusCode;
}

/** The useful code of a Key Vault error: `ObjectIsDeletedButRecoverable` and its like. */
export function innerCodeOf(thrown: unknown): string | undefined {
  return (thrown as ServiceError | undefined)?.details?.error?.innerError?.code;
}

function mayPass(thrown: unknown): boolean {
  if (thrown instanceof UserError) return false;
  const { statusCode, code, name } = thrown as ServiceError;
  if (statusCode !== undefined) return BUSY.has(statusCode);
  // Our own time limit for a request shows as an AbortError: a cancel has been looked for before.
  return name === 'AbortError' || BROKEN_CONNECTION.has(code ?? '');
}

function pauseBefore(error: ServiceError, tries: number, now: Date): number {
  const asked = retryAfterMs((name) => error.response?.headers.get(name), now) ?? 0;
  return Math.max(asked, delayAfter(tries, BACKOFF));
}

function firstLine(message: string): string {
  return message.split(/\r?\n/)[0] ?? '';
}

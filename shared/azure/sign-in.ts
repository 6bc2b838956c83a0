// Signing in to Azure: chooses the way, says which one was used, and explains every failure.
import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/core-auth';
import { UsageError } from '../step/errors.ts';
import type { Host } from '../step/host.ts';
import type { Secret } from '../step/input.ts';
import { azureProxy } from '../tools/proxy.ts';
import { AzureSignInError, signInError } from './sign-in-errors.ts';
import {
  byAzureCli,
  byManagedIdentity,
  byOidc,
  bySecret,
  byServiceConnection,
  byWorkloadIdentity,
  whyNoManagedIdentity,
  type Authority,
  type Way,
} from './ways.ts';

/** What Entra wants as audience of a federated credential's token. */
export const TOKEN_EXCHANGE_AUDIENCE = 'api://AzureADTokenExchange';

export interface AzureSignInOptions extends Omit<Authority, 'authorityHost'> {
  authorityHost?: string | undefined;
  host: Pick<Host, 'kind' | 'spell' | 'oidcToken' | 'serviceConnection' | 'debug'>;
  /** Name of an Azure Pipelines service connection. */
  serviceConnection?: string | undefined;
  clientId?: string | undefined;
  tenantId?: string | undefined;
  clientSecret?: Secret | undefined;
  /** Audience of the CI system's OIDC token. */
  audience?: string;
  /** For tests; the process's own otherwise. */
  env?: NodeJS.ProcessEnv;
  whyNoManagedIdentity?: () => Promise<string | undefined>;
}

/**
 * A credential that signs in when the first token is asked for.
 *
 * What is given decides: a service connection; client and tenant id with a secret; client and tenant id alone (OIDC on GitHub, the token file
 * of a Kubernetes workload identity elsewhere); a client id alone (that managed identity). Such a choice never falls through to another way.
 * When nothing is given: the variables AZURE_CLIENT_ID, AZURE_TENANT_ID with AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, else the az
 * session, else the machine's managed identity.
 * @throws UsageError at once when what is given does not make a way to sign in
 */
export function azureCredential(options: AzureSignInOptions): TokenCredential {
  const ways = chooseWays(options);
  return new SignIn(ways, (message) => {
    options.host.debug(message);
  });
}

const PUBLIC_AUTHORITY = 'https://login.microsoftonline.com';
/** Authorities that Entra lists, so that MSAL may check them there. */
const KNOWN_AUTHORITIES = /^https:\/\/login\.(microsoftonline\.com|microsoftonline\.us|partner\.microsoftonline\.cn|chinacloudapi\.cn)\/?$/;

function chooseWays(options: AzureSignInOptions): Way[] {
  const { host, clientId, tenantId, clientSecret, env = process.env } = options;
  const authority = authorityOf(options, env);
  const noManagedIdentity = options.whyNoManagedIdentity ?? (() => whyNoManagedIdentity(env));
  const managedIdentity = (id?: string): Way => byManagedIdentity(id, noManagedIdentity);
  const [client, tenant] = [host.spell('azureClientId'), host.spell('azureTenantId')];

  if (options.serviceConnection !== undefined) {
    const connection = host.serviceConnection(options.serviceConnection);
    if (connection) return [byServiceConnection(options.serviceConnection, connection, authority)];
    // On Azure Pipelines that is a connection of the kind "managed identity".
    if (host.kind === 'azure') return [managedIdentity(clientId)];
    throw new UsageError(`There is no service connection "${options.serviceConnection}" here.`, {
      fix: `Service connections exist on Azure Pipelines. Elsewhere set ${client} and ${tenant}.`,
    });
  }
  if (clientSecret !== undefined && (clientId === undefined || tenantId === undefined)) {
    throw new UsageError(`A client secret needs ${client} and ${tenant} beside it.`, { fix: `Set ${client} and ${tenant}.` });
  }
  if (tenantId !== undefined && clientId === undefined) {
    throw new UsageError(`${tenant} is set without ${client}.`, { fix: `Set ${client} too, or leave both away to use the az session.` });
  }
  if (clientId !== undefined && tenantId === undefined) return [managedIdentity(clientId)];
  if (clientId !== undefined && tenantId !== undefined) {
    return [byApplication({ clientId, tenantId }, options, env, authority)];
  }
  return implicitWays(env, authority, managedIdentity);
}

function authorityOf({ authorityHost, disableInstanceDiscovery }: AzureSignInOptions, env: NodeJS.ProcessEnv): Authority {
  const host = authorityHost ?? env['AZURE_AUTHORITY_HOST'];
  if (host === undefined || host === '') return azureProxy(PUBLIC_AUTHORITY);
  if (!URL.canParse(host) || new URL(host).protocol !== 'https:') {
    throw new UsageError(`The authority "${host}" is not an https address.`, { fix: 'Write it like https://login.microsoftonline.us.' });
  }
  return { authorityHost: host, disableInstanceDiscovery: disableInstanceDiscovery ?? !KNOWN_AUTHORITIES.test(host), ...azureProxy(host) };
}

function byApplication(
  application: { clientId: string; tenantId: string },
  { host, clientSecret, audience = TOKEN_EXCHANGE_AUDIENCE }: AzureSignInOptions,
  env: NodeJS.ProcessEnv,
  authority: Authority,
): Way {
  if (clientSecret !== undefined) return bySecret(application, clientSecret.reveal(), authority);
  const tokenFile = env['AZURE_FEDERATED_TOKEN_FILE'];
  if (host.kind === 'github' || host.kind === 'memory') {
    return byOidc("GitHub's OIDC token", application, () => host.oidcToken(audience), authority);
  }
  if (tokenFile) return byWorkloadIdentity(application, tokenFile, authority);
  throw new UsageError(`Client ${application.clientId} has nothing to prove itself with.`, {
    fix:
      host.kind === 'azure'
        ? 'Set azureSubscription to a service connection instead.'
        : `Leave ${host.spell('azureClientId')} and ${host.spell('azureTenantId')} away and run az login, or set ${host.spell('azureClientSecret')}.`,
  });
}

function implicitWays(env: NodeJS.ProcessEnv, authority: Authority, managedIdentity: (id?: string) => Way): Way[] {
  const { AZURE_CLIENT_ID: clientId, AZURE_TENANT_ID: tenantId, AZURE_CLIENT_SECRET: secret, AZURE_FEDERATED_TOKEN_FILE: file } = env;
  // Variables that name everything are a choice, too: a person or a webhook set them for this process.
  if (clientId && tenantId && secret) return [bySecret({ clientId, tenantId }, secret, authority)];
  if (clientId && tenantId && file) return [byWorkloadIdentity({ clientId, tenantId }, file, authority)];
  return [byAzureCli(undefined), managedIdentity(clientId === '' ? undefined : clientId)];
}

/** How long a token must still be good to be given out again, milliseconds. */
const KEEP_MS = 5 * 60_000;

/** Tries the ways in order until one gives a token; from then on only that one is used. */
class SignIn implements TokenCredential {
  readonly #ways: Way[];
  readonly #debug: (message: string) => void;
  #chosen: { way: Way; credential: TokenCredential } | undefined;
  readonly #underway = new Map<string, Promise<AccessToken>>();
  readonly #tokens = new Map<string, AccessToken>();

  constructor(ways: Way[], debug: (message: string) => void) {
    this.#ways = ways;
    this.#debug = debug;
  }

  /**
   * Requests that ask for the same token at the same moment share one sign-in, and a token is kept while it is good for five more minutes:
   * az would be started, and an OIDC token fetched, for every client and every ask.
   */
  async getToken(scopes: string | string[], options: GetTokenOptions = {}): Promise<AccessToken> {
    const key = JSON.stringify([scopes, options.tenantId, options.claims]);
    const kept = this.#tokens.get(key);
    if (kept && (kept.refreshAfterTimestamp ?? kept.expiresOnTimestamp - KEEP_MS) > Date.now()) return kept;
    return unlessAborted(this.#underway.get(key) ?? this.#start(key, scopes, options), options.abortSignal);
  }

  async #start(key: string, scopes: string | string[], options: GetTokenOptions): Promise<AccessToken> {
    // The first asker's cancel must not fail the others, so its signal is not passed on.
    const shared: GetTokenOptions = { ...options };
    delete shared.abortSignal;
    const started = this.#signIn(scopes, shared)
      .then((token) => {
        this.#tokens.set(key, token);
        return token;
      })
      .finally(() => this.#underway.delete(key));
    this.#underway.set(key, started);
    return started;
  }

  async #signIn(scopes: string | string[], options: GetTokenOptions): Promise<AccessToken> {
    if (this.#chosen) return this.#ask(this.#chosen.way, this.#chosen.credential, scopes, options);
    const failures: { way: Way; error: Error & { fix?: string | undefined } }[] = [];
    for (const way of this.#ways) {
      const reason = this.#ways.length > 1 ? await way.unavailable?.() : undefined;
      if (reason !== undefined) {
        failures.push({ way, error: new AzureSignInError(`Sign-in to Azure by ${way.name} failed: ${reason}.`, { fix: way.fix }) });
        continue;
      }
      try {
        const credential = await this.#open(way);
        const token = await this.#ask(way, credential, scopes, options);
        this.#chosen = { way, credential };
        this.#debug(`Azure sign-in: ${way.name} (${way.detail}).`);
        return token;
      } catch (thrown) {
        failures.push({ way, error: thrown as Error });
      }
    }
    const [only] = failures;
    if (only && failures.length === 1) throw only.error;
    const list = failures.map(({ error }) => `- ${error.message}`).join('\n');
    throw new AzureSignInError(`No one is signed in to Azure. Tried:\n${list}`, {
      fix: 'On GitHub set azure-client-id and azure-tenant-id (with "permissions: { id-token: write }") or run azure/login first; on Azure Pipelines set azureSubscription; on a terminal run az login.',
      cause: only?.error,
    });
  }

  async #open(way: Way): Promise<TokenCredential> {
    try {
      return await way.open();
    } catch (thrown) {
      throw signInError(way.name, thrown, { ...way, claims: undefined }, way.fix);
    }
  }

  async #ask(way: Way, credential: TokenCredential, scopes: string | string[], options: GetTokenOptions): Promise<AccessToken> {
    try {
      const token = await credential.getToken(scopes, options);
      if (token) return token;
    } catch (thrown) {
      throw signInError(way.name, thrown, { ...way, claims: way.claims?.() }, way.fix);
    }
    throw new AzureSignInError(`Sign-in to Azure by ${way.name} gave no token.`, { fix: way.fix });
  }
}

/** Waits no longer than the signal lets it; the sign-in itself goes on, for others who wait for it. @throws the signal's AbortError */
async function unlessAborted<T>(work: Promise<T>, signal: GetTokenOptions['abortSignal']): Promise<T> {
  if (!signal) return work;
  let onAbort: (() => void) | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      onAbort = () => {
        reject(new DOMException('The sign-in was not waited for.', 'AbortError'));
      };
      work.then(resolve, reject);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

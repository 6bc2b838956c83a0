// Azure Pipelines' service connections: what the agent hands over about one, and OIDC tokens for it.
import internal from 'azure-pipelines-task-lib/internal.js';
import { UserError } from '../step/errors.ts';
import { exchangeHttp, type HttpAnswer } from '../tools/http.ts';
import type { ServiceConnection } from '../step/host.ts';

/** The only audience Azure Pipelines issues tokens for. */
const AUDIENCE = 'api://AzureADTokenExchange';

interface EndpointAuth {
  scheme?: string | undefined;
  parameters?: Record<string, string | undefined>;
}

/** An endpoint's authorization; task-lib's own readers would write parameters into the debug log. */
function endpointAuth(id: string): EndpointAuth | undefined {
  const text = internal._vault.retrieveSecret(`ENDPOINT_AUTH_${id}`);
  if (!text) return undefined;
  try {
    const auth = JSON.parse(text) as EndpointAuth;
    // The agent's casing differs between schemes (serviceprincipalid, AccessToken).
    const parameters = Object.fromEntries(Object.entries(auth.parameters ?? {}).map(([key, value]) => [key.toLowerCase(), value]));
    return { scheme: auth.scheme, parameters };
  } catch (cause) {
    throw new UserError(`The agent's description of service connection ${id} cannot be read.`, {
      fix: 'Check in Project settings > Service connections that it exists and that this pipeline may use it.',
      cause,
    });
  }
}

/** The job's System.AccessToken; a secret. */
export function systemAccessToken(): string | undefined {
  return endpointAuth('SYSTEMVSSCONNECTION')?.parameters?.['accesstoken'] ?? process.env['SYSTEM_ACCESSTOKEN'];
}

/**
 * What the agent knows about a service connection; undefined for a managed identity, which needs nothing from the agent.
 * @throws UserError when there is no such connection, or its kind cannot be used.
 */
export function readServiceConnection(id: string, accessToken: string | undefined): ServiceConnection | undefined {
  const auth = endpointAuth(id);
  if (!auth) {
    throw new UserError(`Service connection ${id} is not available to this task.`, {
      fix: 'Name an Azure Resource Manager connection in azureSubscription, and allow this pipeline to use it.',
    });
  }
  const { serviceprincipalid: clientId, tenantid: tenantId, serviceprincipalkey: clientSecret } = auth.parameters ?? {};
  const scheme = auth.scheme?.toLowerCase();
  if (scheme === 'managedserviceidentity') return undefined;
  if (!clientId || !tenantId || (scheme !== 'workloadidentityfederation' && !(scheme === 'serviceprincipal' && clientSecret))) {
    throw new UserError(`Service connection ${id} signs in with ${auth.scheme ?? 'nothing'}, which cannot be used here.`, {
      fix: 'Use workload identity federation, a service principal with a secret, or a managed identity.',
    });
  }
  if (scheme === 'workloadidentityfederation') return { id, tenantId, clientId, accessToken: accessToken ?? '' };
  return { id, tenantId, clientId, accessToken: accessToken ?? '', clientSecret: clientSecret as string };
}

/**
 * A fresh OIDC token of the job for a service connection; it lives ten minutes.
 * (POST $SYSTEM_OIDCREQUESTURI, as azure-pipelines-terraform and @azure/identity do)
 * @throws UserError naming what is missing.
 */
export async function requestOidcToken(audience: string, connection: ServiceConnection | undefined, signal: AbortSignal): Promise<string> {
  if (audience !== AUDIENCE) {
    throw new UserError(`Azure Pipelines issues OIDC tokens for ${AUDIENCE} only, not for ${audience}.`, {
      fix: 'Leave azureAudience out, or sign in with a client secret.',
    });
  }
  const uri = process.env['SYSTEM_OIDCREQUESTURI'];
  if (!connection || !uri || connection.accessToken === '') {
    throw new UserError('Azure Pipelines gives this task no OIDC token.', {
      fix: 'Set azureSubscription to a service connection with workload identity federation.',
    });
  }
  const url = new URL(uri);
  url.searchParams.set('api-version', '7.1');
  url.searchParams.set('serviceConnectionId', connection.id);
  let answer: HttpAnswer;
  try {
    answer = await exchangeHttp({
      url: url.href,
      method: 'POST',
      headers: { authorization: `Bearer ${connection.accessToken}`, 'content-type': 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]),
    });
  } catch (cause) {
    throw new UserError(`Azure Pipelines did not answer the request for an OIDC token (${url.host}).`, {
      fix: 'Run the job again.',
      cause,
    });
  }
  const token = answer.status === 200 ? tokenIn(answer.text) : undefined;
  if (token !== undefined) return token;
  throw new UserError(`Azure Pipelines refused an OIDC token for service connection ${connection.id}: HTTP ${answer.status}.`, {
    fix: 'Check that the connection uses workload identity federation and that this pipeline may use it.',
  });
}

function tokenIn(text: string): string | undefined {
  try {
    const { oidcToken } = JSON.parse(text) as { oidcToken?: unknown };
    return typeof oidcToken === 'string' ? oidcToken : undefined;
  } catch {
    return undefined;
  }
}

/** How the agent reaches the outside: its proxy with user and password, and a file with certificates that it trusts. */
export interface AgentConnection {
  proxy: { url: string; bypass: readonly string[] } | undefined;
  caFile: string | undefined;
}

/** What `config.sh --proxyurl … --sslcacert …` has set up. task-lib's own reader would write the password into the debug log. */
export function agentConnection(env: NodeJS.ProcessEnv = process.env): AgentConnection {
  const { AGENT_PROXYURL: url = '', AGENT_PROXYUSERNAME: user = '', AGENT_PROXYBYPASSLIST: bypass = '', AGENT_CAINFO: caFile = '' } = env;
  const password = internal._vault.retrieveSecret('SECRET_AGENT_PROXYPASSWORD') ?? env['AGENT_PROXYPASSWORD'] ?? '';
  return {
    proxy: url === '' ? undefined : { url: withUser(url, user, password), bypass: listIn(bypass) },
    caFile: caFile === '' ? undefined : caFile,
  };
}

function withUser(address: string, user: string, password: string): string {
  if (user === '' || !URL.canParse(address)) return address;
  const url = new URL(address);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** A JSON list of texts; the agent makes it, and what is none is no list of hosts. */
function listIn(text: string): string[] {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}

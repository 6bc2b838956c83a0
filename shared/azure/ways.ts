// The ways to sign in to Azure, each opened by its own credential of @azure/identity.
import type { TokenCredential } from '@azure/core-auth';
import type { ServiceConnection } from '../step/host.ts';
import type { ProxySettings } from '../tools/proxy.ts';
import { readClaims, type AssertionClaims } from './sign-in-errors.ts';

/** Where tokens come from, when it is not Entra's public cloud. */
export interface Authority {
  /** `https://login.microsoftonline.us`, or a test server. */
  authorityHost?: string;
  /** Needed for an authority that Entra does not list: MSAL would ask the public cloud about it. */
  disableInstanceDiscovery?: boolean;
  /** The proxy on the way there. */
  proxyOptions?: ProxySettings;
}

/** One way to sign in. */
export interface Way {
  /** In messages, after "by": `the OIDC token of GitHub`. */
  name: string;
  /** Who signs in, for the debug line; no secrets. */
  detail: string;
  clientId?: string;
  tenantId?: string;
  /** What to do when it fails for a reason we do not know. */
  fix: string;
  /** The OIDC token that was last presented. */
  claims?: () => AssertionClaims | undefined;
  /** Why it cannot even be tried here; undefined when it can. For ways that were not asked for. */
  unavailable?: () => Promise<string | undefined>;
  open(): Promise<TokenCredential>;
}

export interface Application {
  clientId: string;
  tenantId: string;
}

/** A service connection with workload identity federation: the agent's OIDC endpoint vouches for the job. */
export function byServiceConnection(name: string, connection: ServiceConnection, authority: Authority): Way {
  const { id, clientId, tenantId, accessToken, clientSecret } = connection;
  const title = `service connection ${name}`;
  if (clientSecret !== undefined) return { ...bySecret({ clientId, tenantId }, clientSecret, authority), name: title };
  return {
    name: title,
    detail: `client ${clientId}, tenant ${tenantId}`,
    clientId,
    tenantId,
    fix: 'Check in Project settings > Service connections that azureSubscription names a connection with workload identity federation which this pipeline may use.',
    async open() {
      const { AzurePipelinesCredential } = await import('@azure/identity');
      return new AzurePipelinesCredential(tenantId, clientId, id, accessToken, authority);
    },
  };
}

/**
 * A CI system's OIDC token, exchanged for an Entra token.
 * @param oidcToken gives a fresh token. It is asked again for every request: a token lives minutes, and one that was presented once may be
 *   refused the second time (its `jti` is known then).
 */
export function byOidc(name: string, application: Application, oidcToken: () => Promise<string>, authority: Authority): Way {
  const { clientId, tenantId } = application;
  let claims: AssertionClaims | undefined;
  return {
    name,
    detail: `client ${clientId}, tenant ${tenantId}`,
    clientId,
    tenantId,
    fix: 'Check that the job has "permissions: { id-token: write }" and that the application has a federated credential for it.',
    claims: () => claims,
    async open() {
      const { ClientAssertionCredential } = await import('@azure/identity');
      const assertion = async (): Promise<string> => {
        const token = await oidcToken();
        claims = readClaims(token);
        return token;
      };
      return new ClientAssertionCredential(tenantId, clientId, assertion, authority);
    },
  };
}

/** An application's client secret. */
export function bySecret({ clientId, tenantId }: Application, clientSecret: string, authority: Authority): Way {
  return {
    name: 'client secret',
    detail: `client ${clientId}, tenant ${tenantId}`,
    clientId,
    tenantId,
    fix: 'Check client id, tenant id and client secret.',
    async open() {
      const { ClientSecretCredential } = await import('@azure/identity');
      return new ClientSecretCredential(tenantId, clientId, clientSecret, authority);
    },
  };
}

/** Kubernetes workload identity: a token file that the cluster keeps fresh. */
export function byWorkloadIdentity({ clientId, tenantId }: Application, tokenFilePath: string, authority: Authority): Way {
  return {
    name: 'workload identity',
    detail: `client ${clientId}, tenant ${tenantId}, token file ${tokenFilePath}`,
    clientId,
    tenantId,
    fix: 'Check the annotations of the service account and the federated credential of the application.',
    async open() {
      const { WorkloadIdentityCredential } = await import('@azure/identity');
      return new WorkloadIdentityCredential({ clientId, tenantId, tokenFilePath, ...authority });
    },
  };
}

/** The session of `az login` or azure/login. */
export function byAzureCli(tenantId: string | undefined): Way {
  return {
    name: 'the az session',
    detail: 'the user that az is logged in as',
    ...(tenantId === undefined ? {} : { tenantId }),
    fix: 'Run azure/login before this step, AzureCLI@2 around it, or az login on a terminal.',
    async open() {
      const { AzureCliCredential } = await import('@azure/identity');
      return new AzureCliCredential({ processTimeoutInMs: 30_000, ...(tenantId === undefined ? {} : { tenantId }) });
    },
  };
}

/** The identity of the machine: a VM, a scale set, App Service, Arc. */
export function byManagedIdentity(clientId: string | undefined, unavailable: () => Promise<string | undefined>): Way {
  return {
    name: 'managed identity',
    detail: clientId === undefined ? "the machine's own" : `client ${clientId}`,
    ...(clientId === undefined ? {} : { clientId }),
    fix: 'Run on a machine in Azure that has a managed identity, or sign in another way.',
    unavailable,
    async open() {
      const { ManagedIdentityCredential } = await import('@azure/identity');
      return clientId === undefined ? new ManagedIdentityCredential() : new ManagedIdentityCredential({ clientId });
    },
  };
}

/** Variables by which a place that has managed identities says so; without one of them it is the address that every Azure VM has. */
const IDENTITY_VARIABLES = ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT', 'IMDS_ENDPOINT', 'AZURE_POD_IDENTITY_AUTHORITY_HOST'];

/**
 * Why there can be no managed identity here; undefined when there may be one. Elsewhere than in Azure the SDK would wait for minutes.
 * (A request without the header `Metadata: true` is answered with 400 at once by every instance metadata service.)
 */
export async function whyNoManagedIdentity(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (IDENTITY_VARIABLES.some((name) => env[name])) return undefined;
  try {
    await fetch('http://169.254.169.254/metadata/identity/oauth2/token', { signal: AbortSignal.timeout(1500) });
    return undefined;
  } catch {
    return 'this machine is not in Azure';
  }
}

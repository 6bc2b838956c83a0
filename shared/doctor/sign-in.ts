// Checks of the identity: who we are in Azure, and what the CI system's token says compared with what a federated credential must say.
import type { TokenCredential } from '@azure/core-auth';
import { readClaims } from '../azure/sign-in-errors.ts';
import { errorMessage, UserError } from '../step/errors.ts';
import type { Host } from '../step/host.ts';
import { federatedCredentialCommand, identityOf, type AzureIdentity } from './azure-roles.ts';
import { findingOf, skipped, type Check } from '../backup/finding.ts';

const STORAGE_SCOPE = 'https://storage.azure.com/.default';

export interface SignInSubject {
  host: Pick<Host, 'kind' | 'spell' | 'oidcToken'>;
  /** Whether anything here is in Azure. */
  azure: boolean;
  credential: () => Promise<TokenCredential>;
  clientId: string | undefined;
  audience: string;
}

/** The identity that Azure sees; empty when no sign-in works. */
export async function azureIdentity(credential: () => Promise<TokenCredential>): Promise<AzureIdentity> {
  try {
    const token = await (await credential()).getToken(STORAGE_SCOPE);
    return identityOf(token?.token ?? '');
  } catch {
    return { objectId: undefined, clientId: undefined, tenantId: undefined, user: undefined };
  }
}

/** `azure-sign-in` and `oidc-claims`. */
export function signInChecks(subject: SignInSubject): Check[] {
  return [
    { name: 'azure-sign-in', look: (signal) => signIn(subject, signal) },
    { name: 'oidc-claims', look: () => claims(subject) },
  ];
}

async function signIn({ azure, credential }: SignInSubject, signal: AbortSignal): Promise<ReturnType<typeof skipped>> {
  if (!azure) return skipped('Neither store nor vault is in Azure.');
  const token = await (await credential()).getToken(STORAGE_SCOPE, { abortSignal: signal });
  const { objectId, clientId, tenantId, user } = identityOf(token?.token ?? '');
  const who = user ?? clientId ?? objectId ?? 'an identity whose token does not name it';
  return {
    status: 'ok',
    seen: `Signed in as ${who}${tenantId === undefined ? '' : ` in tenant ${tenantId}`}${objectId === undefined ? '' : ` (object id ${objectId})`}.`,
  };
}

async function claims({ host, azure, clientId, audience }: SignInSubject): Promise<ReturnType<typeof skipped>> {
  if (host.kind === 'terminal') return skipped('A terminal has no OIDC token. On GitHub and Azure Pipelines this shows what is in it.');
  if (!azure) return skipped('Neither store nor vault is in Azure.');
  let token: string;
  try {
    token = await host.oidcToken(audience);
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    // Without a client id another way of signing in is meant, and no token is needed.
    return clientId === undefined ? skipped(`No OIDC token is used here: ${errorMessage(thrown)}`) : findingOf(thrown);
  }
  const said = readClaims(token);
  if (!said) return { status: 'failed', seen: "The CI system's token is not a JWT." };
  return {
    status: 'ok',
    seen: `The CI system's token says: issuer ${said.issuer}, subject ${said.subject}, audience ${said.audience}.`,
    fix: `The federated credential must say exactly this. To create it:\n${federatedCredentialCommand(clientId, said)}`,
  };
}

// What Entra says no with, in plain words: every refusal names the way that was tried, the reason and the fix.
import { isDefect, UserError } from '../step/errors.ts';

/** Signing in to Azure failed. Never carries a token or secret. */
export class AzureSignInError extends UserError {}

/** It did not refuse: the sign-in service could not be reached. It may be later. */
export class SignInUnreachableError extends AzureSignInError {}

/** What an OIDC token says about itself; shown when it is refused. Not secret, unlike the token. */
export interface AssertionClaims {
  issuer: string;
  subject: string;
  audience: string;
  /** Seconds since 1970. */
  expires: number | undefined;
}

/** Reads the claims of a JWT without checking it; undefined when it is none. */
export function readClaims(token: string): AssertionClaims | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
    const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value ?? ''));
    return {
      issuer: text(claims['iss']),
      subject: text(claims['sub']),
      audience: text(claims['aud']),
      expires: typeof claims['exp'] === 'number' ? claims['exp'] : undefined,
    };
  } catch {
    return undefined;
  }
}

/** Who is signing in, for the messages. */
export interface SignInIdentity {
  clientId?: string;
  tenantId?: string;
  /** The OIDC token that was last presented. */
  claims?: AssertionClaims | undefined;
}

type Explanation = [reason: string, fix: string];

const UNREACHABLE = 'the sign-in service cannot be reached';

/** The AzureSignInError of anything thrown on the way to a token. A UserError (such as a host without OIDC) stays what it is. @throws what was thrown when it is a defect of the program */
export function signInError(way: string, thrown: unknown, identity: SignInIdentity, generalFix: string): UserError {
  if (thrown instanceof UserError) return thrown;
  if (isDefect(thrown)) throw thrown;
  const text = textOf(thrown);
  const [reason, fix] = byEntraCode(text, identity) ?? byText(text, identity) ?? [firstLine(text), assertionFix(identity) ?? generalFix];
  const Refusal = reason === UNREACHABLE ? SignInUnreachableError : AzureSignInError;
  return new Refusal(`Sign-in to Azure by ${way} failed: ${reason.replace(/\.$/, '')}.`, { fix, cause: thrown });
}

/** Entra's error codes: https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
function byEntraCode(text: string, identity: SignInIdentity): Explanation | undefined {
  const client = identity.clientId ?? 'the application';
  const tenant = identity.tenantId ?? 'this tenant';
  switch (/AADSTS(\d+)/.exec(text)?.[1]) {
    case '700016':
      return [
        `there is no application ${client} in tenant ${tenant}`,
        'Check the client id (application id, not object id) and the tenant id.',
      ];
    case '90002':
    case '900023':
    case '900021':
      return [`there is no tenant ${tenant}`, 'Check the tenant id: az account show --query tenantId.'];
    case '70021':
    case '700211':
    case '700212':
    case '700213':
    case '700223':
      return [
        `no federated credential of ${client} matches the CI system's token`,
        assertionFix(identity) ?? addFederatedCredential(client),
      ];
    case '700024':
      return ["the CI system's token was not valid at this moment", "Check this machine's clock, then run the job again."];
    case '700027':
    case '50027':
    case '5002719':
      return ["the signature of the CI system's token was not accepted", assertionFix(identity) ?? addFederatedCredential(client)];
    case '7000215':
      return [`the client secret of ${client} is wrong`, 'Use the value of the secret, not its id.'];
    case '7000222':
      return [`the client secret of ${client} has expired`, 'Make a new one, or better use OIDC, which has no secret that expires.'];
    case '7000112':
      return [`the application ${client} is disabled`, 'Enable it in Entra (Enterprise applications), or use another one.'];
    case '53003':
      return [
        'a conditional access policy of the tenant blocked it',
        "Ask the tenant's administrator for an exception for this workload identity.",
      ];
    case '500011':
    case '650057':
      return [
        `tenant ${tenant} does not know the resource`,
        'Check that the tenant is the one of the subscription, and the cloud (authority) is right.',
      ];
    default:
      return undefined;
  }
}

/** Refusals without an Entra code: the OAuth error, a missing program, no network. */
function byText(text: string, identity: SignInIdentity): Explanation | undefined {
  if (/Azure CLI could not be found/i.test(text)) {
    return ['the program az is not installed', 'Install the Azure CLI, or sign in another way.'];
  }
  if (/az login|az account set|not logged in/i.test(text)) {
    return ['there is no az session', 'Run azure/login before this step, AzureCLI@2 around it, or az login on a terminal.'];
  }
  if (/invalid_client|invalid_grant|unauthorized_client/.test(text)) {
    const what = identity.claims
      ? "the CI system's token was refused"
      : `the credentials of ${identity.clientId ?? 'the application'} were refused`;
    return [
      `${what} (${oauthReason(text)})`,
      assertionFix(identity) ?? `Check client id, tenant id and secret of ${identity.clientId ?? 'the application'}.`,
    ];
  }
  if (/ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|network_error|endpoints_resolution_error|openid_config_error/i.test(text)) {
    return [UNREACHABLE, 'Check the network, the proxy and the authority host, then run this again.'];
  }
  return undefined;
}

/** Says what the token said, so that a person can compare it with the federated credential. */
function assertionFix({ claims, clientId }: SignInIdentity): string | undefined {
  if (!claims) return undefined;
  const { issuer, subject, audience, expires } = claims;
  if (expires !== undefined && expires * 1000 < Date.now()) {
    return `The token expired at ${new Date(expires * 1000).toISOString()}. Check this machine's clock, then run the job again.`;
  }
  return (
    `The token says: issuer ${issuer}, subject ${subject}, audience ${audience}. ` +
    `The federated credential of ${clientId ?? 'the application'} must say exactly the same (Entra > App registrations > Certificates & secrets).`
  );
}

function addFederatedCredential(client: string): string {
  return `Add a federated credential for this repository or service connection to ${client}: az ad app federated-credential create --id ${client}.`;
}

/** MSAL nests what the server said: `invalid_client: Error(s): … - Timestamp: … - Description: … - Correlation ID: …`. */
function oauthReason(text: string): string {
  const description = /Description:\s*(.*?)(?:\s+-\s+(?:Correlation|Trace) ID:|$)/s.exec(text)?.[1];
  return firstLine(description ?? text.replace(/^.*?((?:invalid|unauthorized)_\w+)/s, '$1'));
}

/** The message and everything under it. No `instanceof Error`: jest's realms have an Error of their own. */
function textOf(thrown: unknown): string {
  const parts: string[] = [];
  for (let error = thrown; error !== undefined && error !== null;) {
    if (typeof error !== 'object') return [...parts, JSON.stringify(error)].join('\n');
    const { message, errorMessage, cause } = error as { message?: unknown; errorMessage?: unknown; cause?: unknown };
    for (const part of [message, errorMessage]) if (typeof part === 'string') parts.push(part);
    error = cause;
  }
  return parts.join('\n');
}

/** One line for a person: no trace ids, no help links. */
function firstLine(text: string): string {
  const line = text.split('\n').find((part) => part.trim() !== '') ?? 'no reason was given';
  return line
    .replace(/^\w+Credential: /, '')
    .replace(/:? Error\(s\): .*$/, '')
    .replace(/\s*(Trace ID|Correlation ID|See the troubleshooting|To troubleshoot).*$/s, '')
    .trim()
    .slice(0, 300);
}

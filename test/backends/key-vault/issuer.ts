// A token issuer that plays Microsoft Entra ID for app sign-in: client secrets and federated assertions, really checked.
import { createServer, type Server } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import type { TokenCredential } from '@azure/identity';
import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  type CryptoKey,
  type JWTPayload,
} from 'jose';
import { fetchTrusting } from './access.ts';

/** A federated identity credential of an app registration: whose tokens count as this app. */
export interface FederatedCredential {
  issuer: string;
  subject: string;
  /** Default `api://AzureADTokenExchange`, as Entra wants it. */
  audience?: string;
  /** PEM of the authority behind the issuer's own certificate, when it is a test server. */
  ca?: string;
}

export interface AppRegistration {
  clientId: string;
  objectId: string;
  clientSecret: string;
  federated: FederatedCredential[];
}

export interface TokenIssuerOptions {
  /** PEM pair for localhost. */
  cert: string;
  key: string;
  /** Default 127.0.0.1 and any free port. */
  port?: number;
  tenantId?: string;
  /** Milliseconds since the epoch; for tests that turn the clock. */
  now?: () => number;
}

/** Resources tokens can be asked for, as in the public cloud. */
const RESOURCES = ['https://vault.azure.net', 'https://storage.azure.com', 'https://management.azure.com'];

/** An error as the token endpoint answers it. */
class SignInRefusal extends Error {
  readonly status: number;
  readonly error: string;
  readonly number: number;

  constructor(status: number, error: string, number: number, message: string) {
    super(`AADSTS${number}: ${message}`);
    this.status = status;
    this.error = error;
    this.number = number;
  }
}

/** The issuer; `credential()` gives a real @azure/identity credential for it. */
export class TokenIssuer {
  readonly tenantId: string;
  /** Seconds a token lives. Entra gives 60 to 90 minutes. */
  tokenLifetime = 3600;
  /** How many tokens were handed out. */
  issued = 0;
  readonly ca: string;
  readonly #apps = new Map<string, AppRegistration>();
  readonly #server: Server;
  readonly #now: () => number;
  #signingKey!: CryptoKey;
  #publicJwk!: object;
  readonly #keyId = randomUUID();

  private constructor(options: TokenIssuerOptions) {
    this.tenantId = options.tenantId ?? randomUUID();
    this.ca = options.cert;
    this.#now = options.now ?? Date.now;
    this.#server = createServer({ cert: options.cert, key: options.key }, (request, response) => {
      void this.#answer(request).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
        response.end(JSON.stringify(body));
      });
    });
  }

  static async start(options: TokenIssuerOptions): Promise<TokenIssuer> {
    const issuer = new TokenIssuer(options);
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    issuer.#signingKey = privateKey;
    issuer.#publicJwk = { ...(await exportJWK(publicKey)), kid: issuer.#keyId, use: 'sig', alg: 'RS256' };
    await new Promise<void>((resolve, reject) => {
      issuer.#server.once('error', reject);
      issuer.#server.listen(options.port ?? 0, '127.0.0.1', resolve);
    });
    return issuer;
  }

  /** `https://localhost:<port>`: the `authorityHost` of credentials. */
  get authorityHost(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The `iss` claim of its tokens; Azurite takes them by this prefix. */
  get issuer(): string {
    return `https://sts.windows.net/${this.tenantId}/`;
  }

  get jwksUri(): string {
    return `${this.authorityHost}/${this.tenantId}/discovery/v2.0/keys`;
  }

  /** What every @azure/identity credential for this issuer needs. */
  get credentialOptions(): { authorityHost: string; disableInstanceDiscovery: boolean; tlsOptions: { ca: string } } {
    return { authorityHost: this.authorityHost, disableInstanceDiscovery: true, tlsOptions: { ca: this.ca } };
  }

  registerApp(app: Partial<AppRegistration> = {}): AppRegistration {
    const registered = { clientId: randomUUID(), objectId: randomUUID(), clientSecret: randomUUID(), federated: [], ...app };
    this.#apps.set(registered.clientId, registered);
    return registered;
  }

  /** A real ClientSecretCredential, for a fresh app unless one is given. */
  async credential(app: AppRegistration = this.registerApp()): Promise<TokenCredential> {
    const { ClientSecretCredential } = await import('@azure/identity');
    return new ClientSecretCredential(this.tenantId, app.clientId, app.clientSecret, this.credentialOptions);
  }

  /** A real ClientAssertionCredential; `assertion` gives a token of a federated issuer. */
  async assertionCredential(app: AppRegistration, assertion: () => Promise<string>): Promise<TokenCredential> {
    const { ClientAssertionCredential } = await import('@azure/identity');
    return new ClientAssertionCredential(this.tenantId, app.clientId, assertion, this.credentialOptions);
  }

  /** Signs any claims, for tokens that must be refused. */
  async sign(claims: Record<string, unknown>, key: CryptoKey = this.#signingKey): Promise<string> {
    return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: this.#keyId }).sign(key);
  }

  /** A valid token of an app for a resource, as the token endpoint would give it. */
  async token(app: AppRegistration, resource: string): Promise<string> {
    const now = Math.floor(this.#now() / 1000);
    this.issued += 1;
    return this.sign({
      aud: resource,
      iss: this.issuer,
      iat: now,
      // Entra sets nbf to the time of issue; a second of slack for clocks that tick in between.
      nbf: now - 1,
      exp: now + this.tokenLifetime,
      appid: app.clientId,
      idtyp: 'app',
      oid: app.objectId,
      sub: app.objectId,
      tid: this.tenantId,
      uti: randomUUID(),
      ver: '1.0',
    });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) =>
      this.#server.close(() => {
        resolve();
      }),
    );
  }

  async #answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    try {
      const { pathname } = new URL(request.url ?? '/', this.authorityHost);
      const [, tenant, ...rest] = pathname.split('/');
      const path = rest.join('/');
      if (tenant !== this.tenantId) throw new SignInRefusal(400, 'invalid_tenant', 90002, `Tenant '${tenant}' not found.`);
      if (path === 'v2.0/.well-known/openid-configuration') return { status: 200, body: this.#discovery() };
      if (path === 'discovery/v2.0/keys') return { status: 200, body: { keys: [this.#publicJwk] } };
      if (path === 'oauth2/v2.0/token' && request.method === 'POST') return { status: 200, body: await this.#grant(await form(request)) };
      return { status: 404, body: { error: 'not_found' } };
    } catch (thrown) {
      if (!(thrown instanceof SignInRefusal)) return { status: 500, body: { error: 'server_error', error_description: String(thrown) } };
      const { status, error, number, message } = thrown;
      return {
        status,
        body: {
          error,
          error_description: message,
          error_codes: [number],
          timestamp: new Date(this.#now()).toISOString(),
          trace_id: randomUUID(),
        },
      };
    }
  }

  #discovery(): object {
    const base = `${this.authorityHost}/${this.tenantId}`;
    return {
      token_endpoint: `${base}/oauth2/v2.0/token`,
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt'],
      jwks_uri: this.jwksUri,
      response_types_supported: ['code', 'id_token'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    };
  }

  async #grant(fields: URLSearchParams): Promise<object> {
    if (fields.get('grant_type') !== 'client_credentials') {
      throw new SignInRefusal(400, 'unsupported_grant_type', 70003, 'The app requested an unsupported grant type.');
    }
    const app = this.#apps.get(fields.get('client_id') ?? '');
    if (!app) {
      throw new SignInRefusal(
        400,
        'unauthorized_client',
        700016,
        `Application with identifier '${fields.get('client_id')}' was not found in the directory '${this.tenantId}'.`,
      );
    }
    await this.#checkClient(app, fields);
    const scope = (fields.get('scope') ?? '').split(' ').find((one) => one.endsWith('/.default'));
    const resource = scope?.slice(0, -'/.default'.length).replace(/\/$/, '');
    if (resource === undefined || !RESOURCES.includes(resource)) {
      throw new SignInRefusal(400, 'invalid_resource', 500011, `The resource principal named ${resource} was not found in the tenant.`);
    }
    return {
      token_type: 'Bearer',
      expires_in: this.tokenLifetime,
      ext_expires_in: this.tokenLifetime,
      access_token: await this.token(app, resource),
    };
  }

  async #checkClient(app: AppRegistration, fields: URLSearchParams): Promise<void> {
    const assertion = fields.get('client_assertion');
    if (assertion !== null) {
      await this.#checkAssertion(app, assertion, fields.get('client_assertion_type'));
    } else if (fields.get('client_secret') !== app.clientSecret) {
      throw new SignInRefusal(401, 'invalid_client', 7000215, `Invalid client secret provided for app '${app.clientId}'.`);
    }
  }

  /** Wording and numbers: https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
  async #checkAssertion(app: AppRegistration, assertion: string, type: string | null): Promise<void> {
    if (type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer') {
      throw new SignInRefusal(400, 'invalid_request', 900144, "The request must contain 'client_assertion_type'.");
    }
    let claims: JWTPayload;
    try {
      claims = decodeJwt(assertion);
    } catch {
      throw new SignInRefusal(401, 'invalid_client', 50027, 'JWT token is invalid or malformed.');
    }
    const byIssuer = app.federated.filter(({ issuer }) => issuer === claims.iss);
    const noMatch = (number: number, what: string, value: unknown): SignInRefusal =>
      new SignInRefusal(
        401,
        'invalid_client',
        number,
        `No matching federated identity record found for presented assertion ${what} '${String(value)}'.`,
      );
    if (byIssuer.length === 0) throw noMatch(700211, 'issuer', claims.iss);
    const bySubject = byIssuer.filter(({ subject }) => subject === claims.sub);
    const match = bySubject[0];
    if (!match) throw noMatch(700213, 'subject', claims.sub);
    const audience = match.audience ?? 'api://AzureADTokenExchange';
    if (![claims.aud].flat().includes(audience)) throw noMatch(700212, 'audience', claims.aud);
    try {
      const keys = createRemoteJWKSet(await jwksOf(match), { [customFetch]: (url) => fetchTrusting(url, match.ca) });
      await jwtVerify(assertion, keys, { issuer: match.issuer, audience, currentDate: new Date(this.#now()), requiredClaims: ['exp'] });
    } catch (cause) {
      if (cause instanceof errors.JWTExpired) {
        throw new SignInRefusal(401, 'invalid_client', 700024, 'Client assertion is not within its valid time range.');
      }
      throw new SignInRefusal(401, 'invalid_client', 700027, 'Client assertion failed signature validation.');
    }
  }
}

/** The JWKS address an issuer's discovery document names, as Entra looks it up. */
async function jwksOf({ issuer, ca }: FederatedCredential): Promise<URL> {
  const answer = await fetchTrusting(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, ca);
  return new URL(((await answer.json()) as { jwks_uri: string }).jwks_uri);
}

async function form(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

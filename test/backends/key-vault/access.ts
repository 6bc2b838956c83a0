// Who may do what in the simulated vault: tokens are verified against their issuer's keys, then roles decide.
import { createRemoteJWKSet, customFetch, decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { request as httpsRequest } from 'node:https';
import { request as httpRequest } from 'node:http';
import { VaultRefusal } from './protocol.ts';

/** An issuer whose tokens the vault takes: its own token issuer, or for instance a Keycloak realm. */
export interface TrustedIssuer {
  /** The exact `iss` claim. */
  issuer: string;
  /** Address of its JWKS. */
  jwksUri: string;
  /** PEM of the certificate authority that signed the JWKS address's certificate. */
  ca?: string;
}

/** The data actions of Microsoft's built-in roles, as operations of this simulator. */
export const ROLES: Record<string, (operation: string) => boolean> = {
  'Key Vault Administrator': () => true,
  'Key Vault Secrets Officer': (operation) => operation.startsWith('secrets/'),
  'Key Vault Secrets User': (operation) => ['secrets/get', 'secrets/list', 'secrets/listVersions'].includes(operation),
  'Key Vault Crypto Officer': (operation) => operation.startsWith('keys/'),
  'Key Vault Crypto User': (operation) =>
    ['keys/get', 'keys/list', 'keys/listVersions', 'keys/update', 'keys/wrapKey', 'keys/unwrapKey'].includes(operation),
  'Key Vault Crypto Service Encryption User': (operation) => ['keys/get', 'keys/wrapKey', 'keys/unwrapKey'].includes(operation),
  'Key Vault Reader': (operation) =>
    ['secrets/list', 'secrets/listVersions', 'keys/get', 'keys/list', 'keys/listVersions'].includes(operation),
};

/** The data action of each operation, as the 403 names it. */
const ACTIONS: Record<string, string> = {
  'secrets/get': 'secrets/getSecret/action',
  'secrets/set': 'secrets/setSecret/action',
  'secrets/delete': 'secrets/delete',
  'keys/get': 'keys/read',
  'keys/list': 'keys/read',
  'keys/delete': 'keys/delete',
  'keys/wrapKey': 'keys/wrap/action',
  'keys/unwrapKey': 'keys/unwrap/action',
};

export class Access {
  readonly #resource: string;
  readonly #authority: string;
  readonly #vault: string;
  readonly #model: 'rbac' | 'access-policy';
  readonly #issuers = new Map<string, JWTVerifyGetKey>();
  readonly #roles = new Map<string, Set<string>>();

  constructor(options: { resource: string; authority: string; vault: string; model: 'rbac' | 'access-policy'; trust: TrustedIssuer[] }) {
    this.#resource = options.resource;
    this.#authority = options.authority;
    this.#vault = options.vault;
    this.#model = options.model;
    for (const { issuer, jwksUri, ca } of options.trust) {
      this.#issuers.set(issuer, createRemoteJWKSet(new URL(jwksUri), { [customFetch]: (url) => fetchTrusting(url, ca) }));
    }
  }

  /** Gives a principal (its client id, `appid` or `azp`, or subject) these roles and no others. Principals never named may do everything. */
  assign(principal: string, roles: string[]): void {
    for (const role of roles) if (!ROLES[role]) throw new Error(`there is no role ${role}`);
    this.#roles.set(principal, new Set(roles));
  }

  challenge(extra = ''): Record<string, string> {
    return { 'WWW-Authenticate': `Bearer authorization="${this.#authority}", resource="${this.#resource}"${extra}` };
  }

  /** @throws VaultRefusal 401 unless the token is signed by a trusted issuer, meant for Key Vault, and valid now */
  async authenticate(header: string | undefined, now: number): Promise<JWTPayload> {
    const token = /^Bearer (.+)$/i.exec(header ?? '')?.[1];
    if (token === undefined) throw this.#unauthorized('AKV10000: Request is missing a Bearer or PoP token.');
    let issuer: string | undefined;
    try {
      issuer = decodeJwt(token).iss;
    } catch {
      throw this.#unauthorized('AKV10001: The token is not a JSON Web Token.');
    }
    const keys = this.#issuers.get(issuer ?? '');
    if (!keys) {
      const expected = [...this.#issuers.keys()].join(', ');
      throw this.#unauthorized(`AKV10032: Invalid issuer. Expected one of ${expected}, found ${issuer}.`);
    }
    try {
      const options = { audience: [this.#resource, `${this.#resource}/`], issuer: issuer ?? '', requiredClaims: ['exp', 'nbf'] };
      return (await jwtVerify(token, keys, { ...options, currentDate: new Date(now) })).payload;
    } catch (cause) {
      throw this.#unauthorized(this.#tokenProblem(cause));
    }
  }

  /** @throws VaultRefusal 403 in Microsoft's wording when no role of the principal allows the operation */
  authorize(payload: JWTPayload, operation: string, path: string): void {
    const principal = principalOf(payload);
    const roles = this.#roles.get(principal);
    if (!roles || [...roles].some((role) => ROLES[role]?.(operation))) return;
    const caller = `appid=${principal};oid=${text(payload['oid']) ?? payload.sub};iss=${payload.iss}`;
    if (this.#model === 'access-policy') {
      const [kind, verb] = operation.split('/');
      throw new VaultRefusal(
        403,
        'Forbidden',
        `The user, group or application '${caller}' does not have ${kind} ${verb?.toLowerCase()} permission on key vault '${this.#vault}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
        'ForbiddenByPolicy',
      );
    }
    throw new VaultRefusal(
      403,
      'Forbidden',
      'Caller is not authorized to perform action on resource.\r\n' +
        'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n' +
        `Caller: ${caller}\r\n` +
        `Action: 'Microsoft.KeyVault/vaults/${ACTIONS[operation] ?? `${operation}/action`}'\r\n` +
        `Resource: '/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/microsoft.keyvault/vaults/${this.#vault.split(';')[0]}${path.toLowerCase()}'\r\n` +
        `Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: ${this.#vault}\r\n`,
      'ForbiddenByRbac',
    );
  }

  /** The answer after a revocation: the client must sign in again with these claims. */
  revoked(now: number): VaultRefusal {
    const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: String(Math.floor(now / 1000)) } } });
    const extra = `, error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`;
    return new VaultRefusal(401, 'Unauthorized', 'AKV10100: The token was revoked.', undefined, {
      'WWW-Authenticate': `Bearer authorization_uri="${this.#authority}"${extra}`,
    });
  }

  #tokenProblem(cause: unknown): string {
    if (cause instanceof errors.JWTExpired) return 'AKV10001: The token has expired.';
    if (cause instanceof errors.JWTClaimValidationFailed) {
      if (cause.claim === 'aud') {
        return `AKV10022: Invalid audience. Expected ${this.#resource}, found: ${String(cause.payload.aud)}.`;
      }
      return `AKV10001: The claim ${cause.claim} is not valid: ${cause.reason}.`;
    }
    return 'AKV10046: Unable to resolve the key used for signature validation, or the signature is wrong.';
  }

  #unauthorized(message: string): VaultRefusal {
    return new VaultRefusal(401, 'Unauthorized', message, undefined, this.challenge());
  }
}

/** The client id where the token has one, else its subject. */
export function principalOf(payload: JWTPayload): string {
  return text(payload['appid']) ?? text(payload['azp']) ?? payload.sub ?? '';
}

function text(claim: unknown): string | undefined {
  return typeof claim === 'string' ? claim : undefined;
}

/** GET with a certificate authority of our own, which global fetch cannot be given. */
export async function fetchTrusting(address: string | URL, ca: string | undefined): Promise<Response> {
  const url = new URL(address);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, ca === undefined ? {} : { ca }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        resolve(new Response(Buffer.concat(chunks), { status: answer.statusCode ?? 500, headers: { 'content-type': 'application/json' } }));
      });
    });
    sent.once('error', reject);
    sent.end();
  });
}

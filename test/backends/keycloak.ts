// Keycloak as Entra: it really verifies federated assertions. An https front of ours turns MSAL's addresses into Keycloak's.
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  cachedBuild,
  contentKey,
  findProgram,
  freePort,
  runProgram,
  selfSignedCertificate,
  startProcess,
  tempFolder,
  trustHere,
  type Certificate,
} from './support.ts';
import type { TokenIssuer } from './token-issuer.ts';

const VERSION = '26.7.3';
/** Azurite believes tokens whose issuer starts with this. */
const HOSTNAME = 'https://sts.windows.net';
const FEATURE = 'client-auth-federated';

export interface KeycloakClient {
  clientId: string;
  clientSecret: string;
}

export interface Keycloak {
  /** `https://127.0.0.1:<port>`: the `authorityHost` of a credential. */
  authorityHost: string;
  tenantId: string;
  /** What an assertion must name as its audience; Entra wants `api://AzureADTokenExchange` there. */
  assertionAudience: string;
  /** An application whose tokens are for one resource, with a federated credential for `subject` or with a secret. */
  addClient(resource: string, proof: { subject: string } | 'secret'): Promise<KeycloakClient>;
  stop(): Promise<void>;
}

/** Why Keycloak cannot run here; undefined when it can. */
export function whyNoKeycloak(): string | undefined {
  const missing = ['java', 'mvn', 'tar'].filter((program) => findProgram(program) === undefined);
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')} on PATH`;
}

/** Fetches and prepares Keycloak once: 20 s to fetch, 40 s to build. */
export async function installKeycloak(): Promise<string> {
  return cachedBuild('keycloak', contentKey(VERSION, FEATURE), async (folder) => {
    const artifact = `org.keycloak:keycloak-quarkus-dist:${VERSION}:tar.gz`;
    await runProgram('mvn', ['-B', '-q', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`], { cwd: folder });
    const archive = join(folder, `keycloak-quarkus-dist-${VERSION}.tar.gz`);
    await runProgram('tar', ['xzf', archive, '-C', folder, '--strip-components=1'], { cwd: folder });
    rmSync(archive);
    await runProgram(join(folder, 'bin', 'kc.sh'), ['build', '--db=dev-mem', `--features=${FEATURE}`], { cwd: folder });
  });
}

/** Starts Keycloak with one realm, the tenant, that trusts the issuer's tokens. Some 10 s. */
export async function startKeycloak(issuer: TokenIssuer, options: { certificate?: Certificate } = {}): Promise<Keycloak> {
  const install = await installKeycloak();
  const scratch = tempFolder('keycloak');
  const certificate = options.certificate ?? (await selfSignedCertificate(scratch));
  trustHere(certificate);
  const caFile = join(scratch, 'ca.pem');
  writeFileSync(caFile, certificate.cert);
  const [port, management] = [await freePort(), await freePort()];
  const admin = { username: 'admin', password: randomUUID() };
  const server = await startProcess(
    join(install, 'bin', 'kc.sh'),
    [
      ...['start', '--optimized', '--http-enabled=true', '--http-host=127.0.0.1', `--http-port=${port}`],
      ...[`--http-management-port=${management}`, `--hostname=${HOSTNAME}`, '--cache=local', `--truststore-paths=${caFile}`],
    ],
    {
      cwd: scratch,
      // A server that lives a minute gains nothing from the optimizing compiler.
      env: {
        ...process.env,
        JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
        KC_BOOTSTRAP_ADMIN_USERNAME: admin.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: admin.password,
      },
      ready: (output) => /Keycloak .* started in/.test(output),
      timeoutMs: 300_000,
    },
  );
  const base = `http://127.0.0.1:${port}`;
  const tenantId = randomUUID();
  const call = await adminCaller(base, admin);
  await call('/admin/realms', { realm: tenantId, enabled: true, sslRequired: 'none', accessTokenLifespan: 3600 });
  await call(`/admin/realms/${tenantId}/identity-provider/instances`, identityProvider(issuer));
  const front = await startFront(base, certificate);
  return {
    authorityHost: front.url,
    tenantId,
    assertionAudience: `${HOSTNAME}/realms/${tenantId}`,
    async addClient(resource, proof) {
      const client = { clientId: randomUUID(), clientSecret: randomUUID() };
      await call(`/admin/realms/${tenantId}/clients`, clientOf(client, resource, proof));
      return client;
    },
    async stop() {
      await front.stop();
      await server.stop(10_000);
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

function identityProvider(issuer: TokenIssuer): object {
  return {
    alias: 'ci',
    providerId: 'oidc',
    enabled: true,
    config: {
      issuer: issuer.issuer,
      useJwksUrl: 'true',
      jwksUrl: issuer.jwksUrl,
      validateSignature: 'true',
      supportsClientAssertions: 'true',
      clientId: 'unused',
      clientSecret: 'unused',
      authorizationUrl: `${issuer.issuer}/authorize`,
      tokenUrl: `${issuer.issuer}/token`,
    },
  };
}

function clientOf(client: KeycloakClient, resource: string, proof: { subject: string } | 'secret'): object {
  const mapper = (name: string, protocolMapper: string, config: Record<string, string>): object => ({
    name,
    protocol: 'openid-connect',
    protocolMapper,
    config: { 'access.token.claim': 'true', ...config },
  });
  return {
    clientId: client.clientId,
    ...(proof === 'secret' ? { secret: client.clientSecret } : {}),
    protocol: 'openid-connect',
    publicClient: false,
    standardFlowEnabled: false,
    directAccessGrantsEnabled: false,
    serviceAccountsEnabled: true,
    // Otherwise the audience is a list, which Azurite does not take.
    fullScopeAllowed: false,
    clientAuthenticatorType: proof === 'secret' ? 'client-secret' : 'federated-jwt',
    attributes: proof === 'secret' ? {} : { 'jwt.credential.issuer': 'ci', 'jwt.credential.sub': proof.subject },
    protocolMappers: [
      mapper('resource', 'oidc-audience-mapper', { 'included.custom.audience': resource }),
      mapper('nbf', 'oidc-hardcoded-claim-mapper', { 'claim.name': 'nbf', 'claim.value': '0', 'jsonType.label': 'long' }),
    ],
  };
}

async function adminCaller(base: string, admin: { username: string; password: string }) {
  const answer = await fetch(`${base}/realms/master/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...admin }),
  });
  const { access_token: token } = (await answer.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`Keycloak did not accept its administrator: ${answer.status}`);
  return async (path: string, body: object): Promise<void> => {
    const created = await fetch(base + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!created.ok) throw new Error(`Keycloak refused ${path}: ${created.status} ${await created.text()}`);
  };
}

/** Form fields of a token request that Keycloak may see; MSAL's telemetry and scopes would be refused. */
const FIELDS = ['grant_type', 'client_id', 'client_secret', 'client_assertion', 'client_assertion_type'];

async function startFront(base: string, certificate: Certificate): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
    answer(request, response).catch((thrown: unknown) => response.writeHead(502).end(String(thrown)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, tenant, ...rest] = new URL(request.url ?? '/', url).pathname.split('/') as [string, string, ...string[]];
    response.setHeader('content-type', 'application/json');
    if (rest.join('/') === 'v2.0/.well-known/openid-configuration') {
      const at = `${url}/${tenant}`;
      response.end(
        JSON.stringify({
          issuer: `${at}/v2.0`,
          authorization_endpoint: `${at}/oauth2/v2.0/authorize`,
          token_endpoint: `${at}/oauth2/v2.0/token`,
          jwks_uri: `${at}/keys`,
        }),
      );
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const given = new URLSearchParams(Buffer.concat(chunks).toString());
    const body = new URLSearchParams();
    for (const name of FIELDS) if (given.has(name)) body.set(name, given.get(name) as string);
    const token = await fetch(`${base}/realms/${tenant}/protocol/openid-connect/token`, { method: 'POST', body });
    response.writeHead(token.status).end(await token.text());
  }
  return {
    url,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

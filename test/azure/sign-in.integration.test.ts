// Sign-in by federated assertions, verified by a real Keycloak; its tokens are used on Azurite.
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { azureCredential, type AzureSignInOptions } from '../../shared/azure/sign-in.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { UserError } from '../../shared/step/errors.ts';
import { Secret } from '../../shared/step/input.ts';
import { openStore } from '../../shared/stores/open.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { startKeycloak, whyNoKeycloak, type Keycloak, type KeycloakClient } from '../backends/keycloak.ts';
import { selfSignedCertificate, tempFolder } from '../backends/support.ts';
import { startTokenIssuer, type IssueOptions, type TokenIssuer } from '../backends/token-issuer.ts';
import { describeIf } from '../support/needs.ts';

const STORAGE = 'https://storage.azure.com';
const SCOPE = `${STORAGE}/.default`;
const missing = whyNoKeycloak();

describeIf(missing === undefined, missing ?? '')('sign-in to Azure with federated tokens', () => {
  let issuer: TokenIssuer;
  let keycloak: Keycloak;
  let azurite: Azurite;
  let app: KeycloakClient;
  const running: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    const certificate = await selfSignedCertificate(tempFolder('sign-in'));
    running.push((issuer = await startTokenIssuer(certificate)));
    running.push((azurite = await startAzurite({ certificate })));
    running.push((keycloak = await startKeycloak(issuer, { certificate })));
    issuer.pipelinesAudience = keycloak.assertionAudience;
    app = await keycloak.addClient(STORAGE, { subject: issuer.subject });
    Object.assign(process.env, { SYSTEM_OIDCREQUESTURI: issuer.pipelines.SYSTEM_OIDCREQUESTURI });
  }, 300_000);

  afterAll(async () => {
    await Promise.all(running.map((server) => server.stop()));
  });

  /** GitHub's host, as far as OIDC goes: asks the request address with the job's token. */
  async function githubToken(audience: string): Promise<string> {
    const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = issuer.github;
    const answer = await fetch(`${url}&audience=${encodeURIComponent(audience)}`, { headers: { authorization: `Bearer ${bearer}` } });
    return ((await answer.json()) as { value: string }).value;
  }

  function signIn(options: Partial<AzureSignInOptions>, host = new MemoryHost({ oidcToken: githubToken })) {
    const { authorityHost, tenantId, assertionAudience: audience } = keycloak;
    return azureCredential({ host, authorityHost, tenantId, audience, clientId: app.clientId, ...options });
  }

  async function failureOf(options: Partial<AzureSignInOptions>, token?: Partial<IssueOptions>): Promise<UserError> {
    const host = new MemoryHost({ oidcToken: (audience) => (token ? issuer.issue({ audience, ...token }) : githubToken(audience)) });
    const failure: unknown = await signIn(options, host)
      .getToken(SCOPE)
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect(failure).toBeInstanceOf(UserError);
    return failure as UserError;
  }

  test("GitHub's OIDC token becomes a token that the blob store really accepts", async () => {
    const host = new MemoryHost({ oidcToken: githubToken });
    const store = await openStore(await azurite.createContainer('backups'), { credential: () => signIn({}, host) });
    await store.write('mongodb/data', Buffer.from('x'));
    expect(await store.read('mongodb/data')).toHaveLength(1);
    expect(host.log).toEqual([`debug: Azure sign-in: GitHub's OIDC token (client ${app.clientId}, tenant ${keycloak.tenantId}).`]);
  });

  test('many requests at once share one sign-in, and no OIDC token is presented twice', async () => {
    const seen: string[] = [];
    const host = new MemoryHost({
      async oidcToken(audience) {
        const token = await githubToken(audience);
        seen.push(token);
        return token;
      },
    });
    const credential = signIn({}, host);
    const tokens = await Promise.all(Array.from({ length: 8 }, () => credential.getToken(SCOPE)));
    expect(new Set(tokens.map((token) => token?.token)).size).toBe(1);
    expect(new Set(seen).size).toBe(seen.length);
    const before = seen.length;
    expect(await credential.getToken(SCOPE)).toEqual(tokens[0]);
    expect(seen).toHaveLength(before);
    const fresh = await signIn({}, host).getToken(SCOPE);
    expect(fresh?.token).not.toBe(tokens[0]?.token);
  });

  test("an Azure Pipelines service connection signs in through the agent's OIDC endpoint", async () => {
    const { serviceConnectionId: id, accessToken } = issuer.pipelines;
    const serviceConnections = { production: { id, accessToken, clientId: app.clientId, tenantId: keycloak.tenantId } };
    const host = new MemoryHost({ serviceConnections });
    const { authorityHost } = keycloak;
    const token = await azureCredential({ host, authorityHost, serviceConnection: 'production' }).getToken(SCOPE);
    expect(token?.token).toMatch(/^ey/);
    expect(host.log.join()).toContain('Azure sign-in: service connection production');

    serviceConnections.production.id = 'somebody-elses';
    const refused = azureCredential({ host, authorityHost, serviceConnection: 'production' }).getToken(SCOPE);
    await expect(refused).rejects.toThrow(/^Sign-in to Azure by service connection production failed: /);
    await expect(refused).rejects.toMatchObject({ fix: expect.stringContaining('azureSubscription') as unknown });
    await expect(refused).rejects.not.toThrow(new RegExp(accessToken));
  });

  test('a client secret signs in; a wrong one is named as the reason', async () => {
    const { clientId, clientSecret } = await keycloak.addClient(STORAGE, 'secret');
    const token = await signIn({ clientId, clientSecret: new Secret(clientSecret) }).getToken(SCOPE);
    expect(token?.token).toMatch(/^ey/);
    const failure = await failureOf({ clientId, clientSecret: new Secret('wrong-secret-value') });
    expect(failure.message).toMatch(/^Sign-in to Azure by client secret failed: the credentials of .* were refused/);
    expect(failure.message + (failure.fix ?? '')).not.toContain('wrong-secret-value');
  });

  test('a Kubernetes workload identity signs in with the token file', async () => {
    const file = `${tempFolder('workload')}/token`;
    writeFileSync(file, await issuer.issue({ audience: keycloak.assertionAudience }));
    const host = new MemoryHost();
    const { authorityHost, tenantId } = keycloak;
    const env = { AZURE_CLIENT_ID: app.clientId, AZURE_TENANT_ID: tenantId, AZURE_FEDERATED_TOKEN_FILE: file };
    expect((await azureCredential({ host, authorityHost, env }).getToken(SCOPE))?.token).toMatch(/^ey/);
    expect(host.log.join()).toContain('Azure sign-in: workload identity');
  });

  test.each([
    ['a wrong subject', { subject: 'repo:octo/fork:ref:refs/heads/main' }, /subject repo:octo\/fork:ref:refs\/heads\/main/],
    ['a wrong audience', { audience: 'api://AzureADTokenExchange' }, /audience api:\/\/AzureADTokenExchange/],
    ['a wrong issuer', { issuer: 'https://token.example.org' }, /issuer https:\/\/token\.example\.org/],
    ['an expired token', { expiresInSeconds: -600 }, /The token expired at 20/],
    ['a key that the issuer does not publish', { wrongKey: true }, /federated credential/],
  ] as [string, Partial<IssueOptions>, RegExp][])('%s is refused, and the message says what the token said', async (_what, token, fix) => {
    const failure = await failureOf({}, token);
    expect(failure.message).toMatch(/^Sign-in to Azure by GitHub's OIDC token failed: the CI system's token was refused \(/);
    expect(failure.message).not.toMatch(/\n|ey[A-Za-z0-9]{10}/);
    expect(failure.fix).toMatch(fix);
  });

  test('an unknown client and an unknown tenant are refused', async () => {
    const client = await failureOf({ clientId: '00000000-0000-0000-0000-00000000dead' });
    expect(client.message).toMatch(/^Sign-in to Azure by GitHub's OIDC token failed: /);
    expect(client.fix).toContain('00000000-0000-0000-0000-00000000dead');
    const tenant = await failureOf({ tenantId: '00000000-0000-0000-0000-00000000beef' });
    expect(tenant.message).toMatch(/^Sign-in to Azure by GitHub's OIDC token failed: /);
  });

  test('an authority that cannot be reached is said to be so', async () => {
    const failure = await failureOf({ authorityHost: 'https://127.0.0.1:9' });
    expect(failure.message).toBe("Sign-in to Azure by GitHub's OIDC token failed: the sign-in service cannot be reached.");
  });
});

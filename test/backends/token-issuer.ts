// A CI system's OIDC issuer over https: GitHub's token request address and Azure Pipelines' endpoint for service connections.
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { trustHere, type Certificate } from './support.ts';

export interface IssueOptions {
  audience: string;
  subject?: string;
  issuer?: string;
  expiresInSeconds?: number;
  /** Signs with a key that the issuer does not publish. */
  wrongKey?: boolean;
}

export interface TokenIssuer {
  /** `https://127.0.0.1:<port>`: the `iss` of its tokens. */
  issuer: string;
  jwksUrl: string;
  /** Put these into the environment of a job on GitHub. */
  github: { ACTIONS_ID_TOKEN_REQUEST_URL: string; ACTIONS_ID_TOKEN_REQUEST_TOKEN: string };
  /** Put this into the environment of a job on Azure Pipelines. */
  pipelines: { SYSTEM_OIDCREQUESTURI: string; accessToken: string; serviceConnectionId: string };
  /** Claims of the tokens that the two endpoints hand out. */
  subject: string;
  /** Audience of the tokens for service connections: Azure Pipelines has a fixed one; a test's Entra may want another. */
  pipelinesAudience: string;
  /** A token, as one of the endpoints would give it or deliberately wrong. */
  issue(options: IssueOptions): Promise<string>;
  /** Tokens handed out so far by the endpoints. */
  issued(): number;
  stop(): Promise<void>;
}

/** Starts the issuer on a free port, with a certificate for 127.0.0.1 that this process trusts from then on. */
export async function startTokenIssuer(certificate: Certificate, options: { subject?: string } = {}): Promise<TokenIssuer> {
  trustHere(certificate);
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const unpublished = (await generateKeyPair('RS256')).privateKey;
  const jwk = { ...(await exportJWK(publicKey)), kid: 'current', alg: 'RS256', use: 'sig' };
  const requestToken = randomUUID();
  const serviceConnectionId = randomUUID();
  let issued = 0;

  const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
    void answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const self: TokenIssuer = {
    issuer,
    jwksUrl: `${issuer}/.well-known/jwks`,
    github: { ACTIONS_ID_TOKEN_REQUEST_URL: `${issuer}/token?api-version=2.0`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken },
    pipelines: { SYSTEM_OIDCREQUESTURI: `${issuer}/oidctoken`, accessToken: requestToken, serviceConnectionId },
    subject: options.subject ?? 'repo:octo/chat:environment:production',
    pipelinesAudience: 'api://AzureADTokenExchange',
    issue: (wanted) => sign(wanted.wrongKey ? unpublished : privateKey, { issuer, subject: self.subject, ...wanted }),
    issued: () => issued,
    stop: () => close(server),
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', issuer);
    const route = `${request.method ?? ''} ${url.pathname}`;
    if (route === 'GET /.well-known/openid-configuration') {
      send(response, 200, { issuer, jwks_uri: self.jwksUrl, id_token_signing_alg_values_supported: ['RS256'] });
    } else if (route === 'GET /.well-known/jwks') {
      send(response, 200, { keys: [jwk] });
    } else if (request.headers.authorization !== `Bearer ${requestToken}`) {
      send(response, 401, { message: 'not authorized' });
    } else if (route === 'GET /token') {
      issued += 1;
      const value = await self.issue({ audience: url.searchParams.get('audience') ?? 'https://github.com/octo' });
      send(response, 200, { count: value.length, value });
    } else if (route === 'POST /oidctoken' && url.searchParams.get('api-version') === '7.1') {
      if (url.searchParams.get('serviceConnectionId') !== serviceConnectionId) {
        send(response, 404, { message: 'There is no such service connection, or this pipeline may not use it.' });
        return;
      }
      issued += 1;
      send(response, 200, { oidcToken: await self.issue({ audience: self.pipelinesAudience }) });
    } else {
      send(response, 404, { message: `nothing at ${route}` });
    }
  }
  return self;
}

function sign(key: CryptoKey, wanted: IssueOptions & { issuer: string; subject: string }): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const lifetime = wanted.expiresInSeconds ?? 300;
  return new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: 'RS256', kid: 'current', typ: 'JWT' })
    .setIssuer(wanted.issuer)
    .setSubject(wanted.subject)
    .setAudience(wanted.audience)
    .setIssuedAt(Math.min(now, now + lifetime - 300))
    .setNotBefore(Math.min(now, now + lifetime - 300))
    .setExpirationTime(now + lifetime)
    .sign(key);
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeAllConnections();
  });
}

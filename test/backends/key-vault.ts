// A simulated Azure Key Vault with the token issuer its clients sign in at; https on localhost, driven by the real SDKs.
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Access, principalOf, type TrustedIssuer } from './key-vault/access.ts';
import { Faults, type Effect } from './key-vault/faults.ts';
import { TokenIssuer } from './key-vault/issuer.ts';
import { KeysApi, type KeyContent } from './key-vault/keys.ts';
import { ObjectCollection, type Item, type SoftDeletion } from './key-vault/objects.ts';
import { badParameter, VaultRefusal, type VaultAnswer, type VaultRequest } from './key-vault/protocol.ts';
import { SecretsApi, type SecretContent } from './key-vault/secrets.ts';
import { selfSignedCertificate, tempFolder } from './support.ts';

export interface KeyVaultOptions extends Partial<SoftDeletion> {
  /** PEM pair for localhost; one is made when absent. */
  certificate?: { cert: string; key: string };
  /** 0 (default) takes any free port. */
  port?: number;
  issuerPort?: number;
  tenantId?: string;
  /** Further issuers whose tokens are taken. */
  trust?: TrustedIssuer[];
  /** How a refusal for lack of permission reads. Default rbac. */
  permissionModel?: 'rbac' | 'access-policy';
  /** The vault's name in messages. */
  name?: string;
  /** Keeps the vault's contents in this folder over restarts. */
  folder?: string;
  /** Milliseconds since the epoch; for tests that turn the clock. */
  now?: () => number;
  /** Sees every finished exchange, for validators. Carries values: never log it. */
  onExchange?: (exchange: Exchange) => void;
}

/** One request and its answer, complete. */
export interface Exchange {
  operation: string | undefined;
  method: string;
  url: string;
  requestHeaders: Record<string, string>;
  requestBody: unknown;
  status: number;
  responseHeaders: Record<string, string>;
  responseBody: unknown;
}

/** What the vault remembers of a request: no values, no tokens. */
export interface Seen {
  operation: string;
  principal: string | undefined;
  path: string;
  /** undefined when the connection was cut instead of an answer. */
  status: number | undefined;
}

export interface KeyVault {
  /** `https://localhost:<port>`. */
  url: string;
  issuer: TokenIssuer;
  tenantId: string;
  /** PEM to trust, for vault and issuer alike. */
  ca: string;
  faults: Faults;
  access: Access;
  /** Every request since the start, oldest first. */
  seen: Seen[];
  /** Changes what is kept under a secret's name, in all its versions, behind everybody's back: as damage would. */
  damageSecret(name: string, damage: (value: string) => string): void;
  stop(): Promise<void>;
}

/** Starts vault and token issuer. */
export async function startKeyVault(options: KeyVaultOptions = {}): Promise<KeyVault> {
  const certificate = options.certificate ?? (await ownCertificate());
  const now = options.now ?? Date.now;
  const issuer = await TokenIssuer.start({
    ...certificate,
    now,
    ...(options.issuerPort === undefined ? {} : { port: options.issuerPort }),
    ...(options.tenantId === undefined ? {} : { tenantId: options.tenantId }),
  });
  const service = new KeyVaultService(options, certificate, issuer, now);
  await service.listen(options.port ?? 0);
  return {
    url: service.origin,
    issuer,
    tenantId: issuer.tenantId,
    ca: certificate.cert,
    faults: service.faults,
    access: service.access,
    seen: service.seen,
    damageSecret: (name, damage) => {
      service.damageSecret(name, damage);
    },
    async stop() {
      await service.close();
      await issuer.stop();
    },
  };
}

async function ownCertificate(): Promise<{ cert: string; key: string }> {
  const folder = tempFolder('key-vault-tls');
  try {
    const { cert, key } = await selfSignedCertificate(folder);
    return { cert, key };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Half of an answer, then the end of the connection. */
function breakOff(response: ServerResponse, { status, body }: VaultAnswer): void {
  const text = JSON.stringify(body ?? {});
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text) });
  response.write(text.slice(0, Math.ceil(text.length / 2)), () => response.socket?.destroy());
}

class KeyVaultService {
  readonly faults = new Faults();
  readonly seen: Seen[] = [];
  readonly access: Access;
  readonly #options: KeyVaultOptions;
  readonly #now: () => number;
  readonly #server: Server;
  readonly #secretStore: ObjectCollection<SecretContent>;
  readonly #keyStore: ObjectCollection<KeyContent>;
  readonly #secrets: SecretsApi;
  readonly #keys: KeysApi;

  constructor(options: KeyVaultOptions, certificate: { cert: string; key: string }, issuer: TokenIssuer, now: () => number) {
    this.#options = options;
    this.#now = now;
    const rules: SoftDeletion = {
      retentionDays: options.retentionDays ?? 90,
      purgeProtection: options.purgeProtection ?? false,
      deleteDelayMs: options.deleteDelayMs ?? 0,
      recoverDelayMs: options.recoverDelayMs ?? 0,
      settleDelayMs: options.settleDelayMs ?? 0,
    };
    const custom = rules.retentionDays < 90 ? 'CustomizedRecoverable' : 'Recoverable';
    const recovery = { recoveryLevel: rules.purgeProtection ? custom : `${custom}+Purgeable`, recoverableDays: rules.retentionDays };
    const vault = `${options.name ?? 'kv-simulated'};location=westeurope`;
    const changed = (): void => {
      this.#save();
    };
    this.#secretStore = new ObjectCollection('secret', rules, now, changed);
    this.#keyStore = new ObjectCollection('key', rules, now, changed);
    this.#load();
    this.#secrets = new SecretsApi(this.#secretStore, recovery, vault);
    this.#keys = new KeysApi(this.#keyStore, recovery, vault, now);
    this.access = new Access({
      resource: 'https://vault.azure.net',
      authority: `${issuer.authorityHost}/${issuer.tenantId}`,
      vault,
      model: options.permissionModel ?? 'rbac',
      trust: [{ issuer: issuer.issuer, jwksUri: issuer.jwksUri, ca: certificate.cert }, ...(options.trust ?? [])],
    });
    this.#server = createServer(certificate, (request, response) => {
      void this.#serve(request, response);
    });
  }

  get origin(): string {
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  damageSecret(name: string, damage: (value: string) => string): void {
    for (const { content } of this.#secretStore.versions(name).versions) content.value = damage(content.value);
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', resolve);
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) =>
      this.#server.close(() => {
        resolve();
      }),
    );
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const segments = url.pathname.slice(1).split('/').map(decodeURIComponent);
    const shape = { method: request.method ?? 'GET', segments };
    const operation = SecretsApi.operation(shape) ?? KeysApi.operation(shape);
    const remembered: Seen = { operation: operation ?? 'unknown', principal: undefined, path: url.pathname, status: undefined };
    let text: string;
    try {
      // A letter of two bytes may lie on both sides of a chunk's end.
      text = await readText(request);
    } catch {
      return; // The client went away.
    }
    this.seen.push(remembered);
    let answer: VaultAnswer & { headers?: Record<string, string> };
    let effect: Effect | undefined;
    try {
      const payload = await this.access.authenticate(request.headers.authorization, this.#now());
      remembered.principal = principalOf(payload);
      checkApiVersion(url);
      if (operation === undefined) throw new VaultRefusal(404, 'NotFound', 'The resource was not found.');
      effect = this.faults.take(operation);
      if (effect?.kind === 'cut') {
        response.socket?.destroy();
        return;
      }
      await this.#suffer(effect);
      this.access.authorize(payload, operation, url.pathname);
      answer = await this.#do(operation, { ...shape, query: url.searchParams, body: parseBody(text), origin: this.origin });
    } catch (thrown) {
      answer = refusalAnswer(thrown);
    }
    if (effect?.kind === 'answerLost') {
      response.socket?.destroy();
      return;
    }
    if (effect?.kind === 'cutAnswer') {
      breakOff(response, answer);
      return;
    }
    remembered.status = answer.status;
    const headers = this.#send(request, response, answer);
    this.#report(operation, url, request, text, headers, answer);
  }

  async #do(operation: string, request: VaultRequest): Promise<VaultAnswer> {
    return operation.startsWith('secrets/') ? this.#secrets.handle(operation, request) : this.#keys.handle(operation, request);
  }

  async #suffer(effect: Effect | undefined): Promise<void> {
    switch (effect?.kind) {
      case 'delay':
        await delay(effect.ms);
        return;
      case 'throttle':
        throw new VaultRefusal(
          429,
          'Throttled',
          'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
          undefined,
          effect.retryAfter === undefined ? {} : { 'Retry-After': String(effect.retryAfter) },
        );
      case 'unavailable':
        throw new VaultRefusal(effect.status ?? 503, 'ServiceUnavailable', 'The service is temporarily unavailable.');
      case 'firewall':
        throw new VaultRefusal(
          403,
          'Forbidden',
          'Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.7\r\nCaller: appid=…\r\nVault: kv-simulated;location=westeurope',
          'ForbiddenByFirewall',
        );
      case 'revoked':
        throw this.access.revoked(this.#now());
      default:
    }
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    answer: VaultAnswer & { headers?: Record<string, string> },
  ): Record<string, string> {
    const clientRequestId = request.headers['x-ms-client-request-id'];
    const headers = {
      'Cache-Control': 'no-cache',
      'x-ms-keyvault-region': 'westeurope',
      'x-ms-keyvault-service-version': 'simulated',
      ...(typeof clientRequestId === 'string' ? { 'x-ms-client-request-id': clientRequestId } : {}),
      ...(answer.body === undefined ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
      ...answer.headers,
    };
    response.writeHead(answer.status, headers);
    response.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
    return headers;
  }

  #report(
    operation: string | undefined,
    url: URL,
    request: IncomingMessage,
    text: string,
    headers: Record<string, string>,
    answer: VaultAnswer,
  ): void {
    this.#options.onExchange?.({
      operation,
      method: request.method ?? 'GET',
      url: url.href,
      requestHeaders: plainHeaders(request.headers),
      requestBody: text === '' ? undefined : (JSON.parse(text) as unknown),
      status: answer.status,
      responseHeaders: plainHeaders(headers),
      responseBody: answer.body === undefined ? undefined : (JSON.parse(JSON.stringify(answer.body)) as unknown),
    });
  }

  #save(): void {
    const { folder } = this.#options;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'vault.json');
    writeFileSync(`${file}.new`, JSON.stringify({ secrets: this.#secretStore.dump(), keys: this.#keyStore.dump() }), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  #load(): void {
    const file = join(this.#options.folder ?? '', 'vault.json');
    if (this.#options.folder === undefined || !existsSync(file)) return;
    const kept = JSON.parse(readFileSync(file, 'utf8')) as { secrets: Item<SecretContent>[]; keys: Item<KeyContent>[] };
    this.#secretStore.load(kept.secrets);
    this.#keyStore.load(kept.keys);
  }
}

function refusalAnswer(thrown: unknown): VaultAnswer & { headers: Record<string, string> } {
  if (thrown instanceof VaultRefusal) return { status: thrown.status, body: thrown.body(), headers: thrown.headers };
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { status: 500, body: { error: { code: 'InternalError', message: `Defect of the simulator: ${text}` } }, headers: {} };
}

function checkApiVersion(url: URL): void {
  const version = url.searchParams.get('api-version');
  if (version === null) throw badParameter('The request must contain the query parameter "api-version".');
  if (!/^(7\.[0-6]|2025-\d\d-\d\d|2026-\d\d-\d\d)(-preview(\.\d)?)?$/.test(version)) {
    throw badParameter(`The specified version (${version}) is not recognized. Consider using the latest supported version (7.5).`);
  }
}

function parseBody(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const body = JSON.parse(text) as unknown;
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // Falls through to the refusal.
  }
  throw badParameter('The request body is not a JSON object.');
}

function plainHeaders(headers: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]));
}

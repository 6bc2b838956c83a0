// One API server and one login: sends single requests over connections that stay open, through the proxy where there is one.
import type { KubeConfig } from '@kubernetes/client-node';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { errorMessage, UsageError, UserError } from '../step/errors.ts';
import { agentProxy, proxyFor } from '../tools/proxy.ts';
import type { ClusterAccess } from './access.ts';
import { execPlugin, loadKubeconfig, LOG_IN } from './kubeconfig.ts';

export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the root of the API: `/api/v1/namespaces`. */
  path: string;
  /** Values that are undefined are left out; one of several values is repeated. */
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  /** Default `application/json`. */
  contentType?: string | undefined;
  accept?: string | undefined;
  /** Milliseconds without a byte after which the request is given up; default 60,000. */
  idleMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/** An answer of any status. */
export interface ApiAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** What Node.js's requests and WebSockets take. */
export type LoginOptions = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized' | 'auth' | 'agent'> & {
  headers?: Record<string, string>;
};

const IDLE_MS = 60_000;
/** A login is looked at again so often: tokens in files and of plugins are replaced while a run goes on. */
const LOGIN_MS = 30_000;
/** Connections at one time: requests beyond wait their turn. */
const MOST_SOCKETS = 32;

export class Connection {
  readonly #access: ClusterAccess;
  readonly #env: NodeJS.ProcessEnv;
  #config: KubeConfig;
  #login: Promise<LoginOptions> | undefined;
  #lookedAt = 0;
  #agent: http.Agent | https.Agent | undefined;
  #agentFor = '';

  private constructor(config: KubeConfig, access: ClusterAccess, env: NodeJS.ProcessEnv) {
    this.#config = config;
    this.#access = access;
    this.#env = env;
  }

  /**
   * Reads the kubeconfig; connects to nothing yet.
   * @throws UsageError, UserError as `loadKubeconfig`
   */
  static async open(access: ClusterAccess, env: NodeJS.ProcessEnv = process.env): Promise<Connection> {
    return new Connection(await loadKubeconfig(access, env), access, env);
  }

  /** `https://<host>:<port>`, and a path where the kubeconfig has one. */
  get server(): string {
    return this.#config.getCurrentCluster()?.server ?? '';
  }

  /** The name of the context. */
  get context(): string {
    return this.#config.getCurrentContext();
  }

  /**
   * Sends one request, once.
   * @throws the system's error when there is no answer, or not a whole one; UserError when the login cannot be made
   */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    const options = await this.login();
    const url = new URL(`${this.server}${request.path}`);
    for (const [name, value] of Object.entries(request.query ?? {})) {
      for (const one of [value].flat()) if (one !== undefined) url.searchParams.append(name, String(one));
    }
    const response = await exchange(url, options, request);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const plain = response.headers['content-encoding'] === 'gzip' ? await promisify(gunzip)(body) : body;
    return { status: response.statusCode ?? 0, headers: response.headers, text: plain.toString() };
  }

  /** What a request of this login is made with: TLS, headers, and an agent. @throws UserError when the login cannot be made */
  login(): Promise<LoginOptions> {
    if (!this.#login || performance.now() - this.#lookedAt > LOGIN_MS) {
      this.#lookedAt = performance.now();
      this.#login = this.#makeLogin();
      // One that failed is not kept.
      this.#login.catch(() => (this.#login = undefined));
    }
    return this.#login;
  }

  /** Reads the kubeconfig again and asks its plugin again: after an answer that the login is not known. */
  async renewLogin(): Promise<void> {
    this.#config = await loadKubeconfig(this.#access, this.#env);
    this.#login = undefined;
  }

  close(): void {
    this.#agent?.destroy();
  }

  async #makeLogin(): Promise<LoginOptions> {
    const made: LoginOptions = {};
    try {
      await this.#config.applyToHTTPSOptions(made);
    } catch (cause) {
      throw loginError(cause, execPlugin(this.#config));
    }
    // Client-node's own agents know the proxy of the kubeconfig, but not those of the environment.
    const agent = this.#config.getCurrentCluster()?.proxyUrl ? made.agent : this.#keepAlive(made);
    return { ...made, agent };
  }

  #keepAlive({ ca, cert, key, servername, rejectUnauthorized }: LoginOptions): http.Agent | https.Agent {
    const tls = { ca, cert, key, servername, rejectUnauthorized };
    const wanted = JSON.stringify(tls);
    if (this.#agent && wanted === this.#agentFor) return this.#agent;
    const proxy = proxyFor(this.server);
    const options = { keepAlive: true, maxSockets: MOST_SOCKETS, ...(proxy ? agentProxy(proxy) : {}) };
    const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
    this.#agentFor = wanted;
    // The one before ends by itself, with the requests that still use it.
    this.#agent = this.server.startsWith('https:') ? new https.Agent({ ...options, ...given }) : new http.Agent(options);
    return this.#agent;
  }
}

function exchange(
  url: URL,
  { headers, ...options }: LoginOptions,
  { method, body, contentType = 'application/json', accept = 'application/json', idleMs = IDLE_MS, signal }: ApiRequest,
): Promise<IncomingMessage> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const content = text === undefined ? {} : { 'content-type': contentType, 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      ...options,
      method,
      headers: { ...headers, ...content, accept, 'accept-encoding': 'gzip', 'user-agent': 'lifeboat' },
      ...(signal ? { signal } : {}),
    });
    request.setTimeout(idleMs, () => {
      request.destroy(Object.assign(new Error(`No byte for ${idleMs / 1000} s.`), { code: 'ETIMEDOUT' }));
    });
    request.once('error', reject);
    request.once('response', resolve);
    request.end(text);
  });
}

/** Why the login that the kubeconfig describes cannot be made. */
function loginError(cause: unknown, plugin: string | undefined): UserError {
  if (cause instanceof UserError) return cause;
  if (plugin === undefined)
    return new UsageError(`The login of the kubeconfig cannot be used: ${errorMessage(cause)}.`, { cause, fix: LOG_IN });
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
    return new UserError(`The kubeconfig logs in with ${plugin}, which is not installed here.`, {
      cause,
      fix: `Install ${plugin} (azure/use-kubelogin on GitHub for kubelogin), or use a kubeconfig that does not need it.`,
    });
  }
  const [words = ''] = errorMessage(cause).trim().split('\n').slice(-1);
  return new UserError(`${plugin}, with which the kubeconfig logs in, failed: ${words.slice(0, 200).replace(/\.$/, '')}.`, {
    cause,
    fix: LOG_IN,
  });
}

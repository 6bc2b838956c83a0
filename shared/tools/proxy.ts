// The way through a company's proxy: one answer for every client that speaks HTTP, from the environment or from the CI system's agent.
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { errorMessage, UsageError } from '../step/errors.ts';

/** The proxy that an Azure Pipelines agent was set up with. */
export interface AgentProxy {
  /** `http://<host>:<port>`, with user and password where the proxy asks for them: a secret then. */
  url: string;
  /** Regular expressions over whole addresses; what matches is reached directly. */
  bypass: readonly string[];
}

let ofAgent: AgentProxy | undefined;

/** Sets the proxy of the CI system's agent, which counts where the environment names none; undefined for none. */
export function useAgentProxy(proxy: AgentProxy | undefined): void {
  ofAgent = proxy;
}

/**
 * The proxy for an address; undefined when it is reached directly. HTTPS_PROXY, ALL_PROXY and HTTP_PROXY (or in lower case) in this order, for
 * http and https alike, and NO_PROXY with names and .suffixes, as the Azure SDK has it (@typespec/ts-http-runtime, proxyPolicy).
 * @throws UsageError when what is set is not the address of a proxy
 */
export function proxyFor(target: string, env: NodeJS.ProcessEnv = process.env): URL | undefined {
  const variable = ['HTTPS_PROXY', 'ALL_PROXY', 'HTTP_PROXY'].find((name) => valueOf(env, name) !== undefined);
  const found =
    variable === undefined ? agentProxyFor(target) : noProxy(target, valueOf(env, 'NO_PROXY')) ? undefined : valueOf(env, variable);
  if (found === undefined) return undefined;
  const url = URL.canParse(found) ? new URL(found) : undefined;
  if (url && /^https?:$/.test(url.protocol)) return url;
  // Not shown: it may hold a password.
  throw new UsageError(`${variable ?? 'Agent.ProxyUrl'} is not the address of a proxy.`, {
    fix: 'Write it like http://proxy.example.org:3128.',
  });
}

function valueOf(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined;
}

function noProxy(target: string, list = ''): boolean {
  const { hostname } = new URL(target);
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .some((item) => (item.startsWith('.') ? hostname.endsWith(item) || hostname === item.slice(1) : hostname === item));
}

function agentProxyFor(target: string): string | undefined {
  return ofAgent?.bypass.some((pattern) => new RegExp(pattern, 'i').test(target)) ? undefined : ofAgent?.url;
}

/** A proxy as @azure/core-rest-pipeline takes it. */
export interface ProxySettings {
  host: string;
  port: number;
  username?: string;
  password?: string;
}

/** For the option `proxyOptions` of an Azure client that talks to one address. */
export function azureProxy(target: string): { proxyOptions?: ProxySettings } {
  const proxy = proxyFor(target);
  if (!proxy) return {};
  const { protocol, hostname, username, password } = proxy;
  const signIn = username === '' ? {} : { username: decodeURIComponent(username), password: decodeURIComponent(password) };
  return { proxyOptions: { host: `${protocol}//${hostname}`, port: portOf(proxy), ...signIn } };
}

/** Agents for requests to one address; undefined when it is reached directly. @throws UsageError on a Node.js that cannot */
export function proxyAgents(target: string): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } | undefined {
  const proxy = proxyFor(target);
  if (!proxy) return undefined;
  const options = { keepAlive: true, ...agentProxy(proxy) };
  return { httpAgent: new HttpAgent(options), httpsAgent: new HttpsAgent(options) };
}

/** Options of an agent of Node.js that goes through this proxy. @throws UsageError on a Node.js that cannot */
export function agentProxy(proxy: URL): { proxyEnv: { HTTP_PROXY: string; HTTPS_PROXY: string } } {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 24 || (major === 24 && minor < 5)) {
    throw new UsageError(`Node.js ${process.versions.node} cannot use a proxy, and ${proxy.host} is one.`, {
      fix: 'Use Node.js 24.5 or newer.',
    });
  }
  return { proxyEnv: { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href } };
}

function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/**
 * Trusts the certificates of a file besides the usual ones, in every connection from now on.
 * @throws UsageError when the file cannot be read or holds none
 */
export function trustAuthority(file: string): void {
  try {
    setDefaultCACertificates([...getCACertificates('default'), readFileSync(file, 'utf8')]);
  } catch (cause) {
    throw new UsageError(`The certificates in ${file} cannot be used: ${errorMessage(cause)}`, {
      fix: 'Name a PEM file with the certificate of your authority (Agent.CAInfo, --sslcacert of the agent).',
      cause,
    });
  }
}

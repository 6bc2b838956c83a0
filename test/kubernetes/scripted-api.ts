// An HTTP server that answers as a test scripts it, under a kubeconfig that leads to it: what a real API server does only on bad days.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: string;
}

/** What is answered: an object as JSON with status 200, or anything by hand. */
export type Script = (asked: Asked, response: ServerResponse) => object | undefined;

export interface ScriptedApi {
  /** Where its files are. */
  folder: string;
  kubeconfig: string;
  /** Everything that was asked, in order. */
  asked: Asked[];
  stop(): Promise<void>;
}

/** @param user the user of the kubeconfig, as it is written there */
export async function scriptedApi(script: Script, user: object = {}): Promise<ScriptedApi> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      const url = new URL(request.url ?? '', 'http://server');
      const one = { method: request.method ?? '', path: url.pathname, query: url.searchParams, headers: request.headers, body };
      asked.push(one);
      const answer = script(one, response);
      if (answer !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-scripted-api-'));
  const kubeconfig = join(folder, 'config');
  const { port } = server.address() as AddressInfo;
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(`http://127.0.0.1:${port}`, user)), { mode: 0o600 });
  return {
    folder,
    kubeconfig,
    asked,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A kubeconfig of one context, `here`. */
export function kubeconfigFor(server: string, user: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    // client-node takes http only together with this.
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'here',
  };
}

/** A refusal, in the API server's form. */
export function refuse(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): object | undefined {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, code }));
  return undefined;
}

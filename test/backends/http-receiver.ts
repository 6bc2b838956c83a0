// A receiver of webhooks and pings: keeps every request, and answers as a test says.
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './support.ts';

export interface ReceivedRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
}

/** How to answer; `delayMs` waits first, `drop` cuts the connection. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  delayMs?: number;
  drop?: boolean;
}

export interface HttpReceiver {
  url: string;
  requests: ReceivedRequest[];
  /** Answers to come, one per request; 200 once they are used up. */
  answers: Answer[];
  stop(): Promise<void>;
}

/** Starts a receiver on a free port; with https when a certificate is given. */
export async function startHttpReceiver({ certificate }: { certificate?: Certificate } = {}): Promise<HttpReceiver> {
  const requests: ReceivedRequest[] = [];
  const answers: Answer[] = [];
  const timers = new Set<NodeJS.Timeout>();
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      });
      const { status = 200, headers = {}, body = 'ok', delayMs = 0, drop = false } = answers.shift() ?? {};
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (drop) request.socket.destroy();
        else response.writeHead(status, headers).end(body);
      }, delayMs);
      timers.add(timer);
    });
  };
  const server = certificate ? createHttps({ cert: certificate.cert, key: certificate.key }, handle) : createHttp(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    answers,
    async stop() {
      for (const timer of timers) clearTimeout(timer);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

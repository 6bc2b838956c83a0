// An https proxy in front of a blob server that has bad days: busy answers, cut connections, delays, answers that come too late.
import { createServer, request as httpsRequest } from 'node:https';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Faults } from './key-vault/faults.ts';
import type { Certificate } from './support.ts';

export type ProxyEffect =
  /** 503 ServerBusy, nothing is done. */
  | { kind: 'busy'; retryAfter?: number }
  /** 429 with Retry-After in seconds, nothing is done. */
  | { kind: 'throttle'; retryAfter: number }
  /** The connection breaks before anything is done. */
  | { kind: 'cut' }
  /** The connection breaks after half of the request's body. */
  | { kind: 'cutRequest' }
  /** The work is done, then the connection breaks after half of the answer's body. */
  | { kind: 'cutAnswer' }
  /** The work is done, then the connection breaks: the client cannot know. */
  | { kind: 'answerLost' }
  /** Waits before anything is done. */
  | { kind: 'delay'; ms: number }
  /** The work is done at once, the answer comes so late that the client may have given up. */
  | { kind: 'lateAnswer'; ms: number }
  /** The blob's properties as Azure tells them while it is brought back from the archive, which takes Azurite no time. */
  | { kind: 'rehydrating' };

/** What a request to the Blob service does, as far as faults are aimed: `block`, `commit`, `lease`, `properties`, `download`, … */
export function blobOperation(method: string, url: URL, headers: IncomingMessage['headers']): string {
  const component = url.searchParams.get('comp');
  if (method === 'PUT' && component === 'blocklist') return 'commit';
  if (method === 'GET' && component === 'blocklist') return 'blocks';
  if (component !== null) return component;
  if (method === 'PUT') return headers['x-ms-blob-type'] === undefined ? 'put' : 'upload';
  return { GET: 'download', HEAD: 'properties', DELETE: 'delete' }[method] ?? method.toLowerCase();
}

export interface FaultProxy {
  /** `https://127.0.0.1:<port>`: replaces the origin of the server behind it. */
  origin: string;
  faults: Faults<ProxyEffect>;
  /** Operation and effect of every request so far, oldest first. */
  seen: { operation: string; effect: ProxyEffect['kind'] | undefined }[];
  stop(): Promise<void>;
}

/**
 * Starts a proxy on a free port.
 * @param options.target the origin behind it, https
 * @param options.certificate for localhost; both sides are held to it
 */
export async function startFaultProxy(options: { target: string; certificate: Certificate }): Promise<FaultProxy> {
  const { target, certificate } = options;
  const faults = new Faults<ProxyEffect>();
  const seen: FaultProxy['seen'] = [];
  const server = createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
    const url = new URL(request.url ?? '/', target);
    const operation = blobOperation(request.method ?? 'GET', url, request.headers);
    const effect = faults.take(operation);
    seen.push({ operation, effect: effect?.kind });
    void handle({ request, response, url, ca: certificate.cert }, effect);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    seen,
    stop: async () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  ca: string;
}

async function handle(exchange: Exchange, effect: ProxyEffect | undefined): Promise<void> {
  const { request, response } = exchange;
  switch (effect?.kind) {
    case 'busy':
      refuse(exchange, 503, 'ServerBusy', effect.retryAfter);
      return;
    case 'throttle':
      refuse(exchange, 429, 'TooManyRequests', effect.retryAfter);
      return;
    case 'cut':
      request.socket.destroy();
      return;
    case 'delay':
      setTimeout(() => {
        forward(exchange, answer);
      }, effect.ms).unref();
      return;
    case 'cutRequest':
      cutInTheBody(exchange);
      return;
    case 'answerLost':
      forward(exchange, (incoming) => {
        incoming.resume().once('end', () => request.socket.destroy());
      });
      return;
    case 'lateAnswer':
      forward(exchange, (incoming) => {
        setTimeout(() => {
          answer(incoming, response);
        }, effect.ms).unref();
      });
      return;
    case 'rehydrating':
      forward(exchange, (incoming) => {
        incoming.headers['x-ms-access-tier'] = 'Archive';
        incoming.headers['x-ms-archive-status'] = 'rehydrate-pending-to-hot';
        incoming.headers['x-ms-rehydrate-priority'] = 'Standard';
        answer(incoming, response);
      });
      return;
    case 'cutAnswer':
      forward(exchange, (incoming) => {
        response.writeHead(incoming.statusCode ?? 502, incoming.headers);
        const total = Number(incoming.headers['content-length'] ?? 0);
        incoming.once('data', (chunk: Buffer) => {
          response.write(chunk.subarray(0, Math.max(1, Math.floor(Math.min(total, chunk.length) / 2))), () => request.socket.destroy());
        });
        incoming.once('end', () => request.socket.destroy());
      });
      return;
    case undefined:
      forward(exchange, answer);
  }
}

function refuse({ request, response }: Exchange, status: number, code: string, retryAfter: number | undefined): void {
  // The body is read first, as a real front end does: a client that is still sending would see a broken pipe instead.
  request.resume().once('end', () => {
    response.writeHead(status, {
      'x-ms-error-code': code,
      'content-type': 'application/xml',
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    });
    response.end(`<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>The server is busy.</Message></Error>`);
  });
}

function open({ request, url, ca }: Exchange, onAnswer: (incoming: IncomingMessage) => void): ClientRequest {
  const outgoing = httpsRequest(url, { method: request.method ?? 'GET', headers: { ...request.headers, host: url.host }, ca }, onAnswer);
  outgoing.on('error', () => request.socket.destroy());
  return outgoing;
}

function forward(exchange: Exchange, onAnswer: (incoming: IncomingMessage, response: ServerResponse) => void): void {
  const outgoing = open(exchange, (incoming) => {
    onAnswer(incoming, exchange.response);
  });
  exchange.request.pipe(outgoing);
}

function answer(incoming: IncomingMessage, response: ServerResponse): void {
  response.writeHead(incoming.statusCode ?? 502, incoming.headers);
  incoming.pipe(response);
}

/** Passes half of the body on and breaks both connections. */
function cutInTheBody(exchange: Exchange): void {
  const { request } = exchange;
  const half = Math.floor(Number(request.headers['content-length'] ?? 0) / 2);
  const outgoing = open(exchange, (incoming) => incoming.resume());
  let passed = 0;
  request.on('data', (chunk: Buffer) => {
    const left = half - passed;
    passed += chunk.length;
    if (passed < half) {
      outgoing.write(chunk);
      return;
    }
    outgoing.write(chunk.subarray(0, Math.max(0, left)), () => {
      outgoing.destroy();
      request.socket.destroy();
    });
  });
  request.once('end', () => {
    outgoing.destroy();
    request.socket.destroy();
  });
}

// A misbehaving API server with pods that run the mongodump and mongorestore stand-ins: failures of real clusters, on demand, where there is no Go.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { StandIns } from './mongo-tools-stand-ins.ts';

export type ClusterBehaviour =
  /** Passes everything through, exit codes too. */
  | 'honest'
  /** Standard output ends after `cutAt` bytes, exit 0 (kubernetes/kubernetes#124571, #73056, k3s-io/k3s#2062). */
  | 'cut'
  /** The program's exit code is lost: 0 whatever happened. */
  | 'loses-exit-code'
  /** `cutAt` bytes, then the connection is ended as if all were well, but no status was sent. */
  | 'loses-status'
  /** `cutAt` bytes, then a status that is no JSON. */
  | 'garbles-status'
  /** `cutAt` bytes, then the connection breaks. */
  | 'websocket-dies'
  /** `cutAt` bytes, then the program is killed from outside. */
  | 'pod-evicted'
  /** `cutAt` bytes, then nothing more happens. */
  | 'hangs'
  | 'no-context'
  | 'no-kubeconfig'
  | 'unreachable'
  | 'logged-out'
  | 'may-not-list'
  | 'may-not-exec'
  /** The container has no MongoDB tools. */
  | 'no-program';

/** The part of a Pod object that is of interest. */
export interface StandInPod {
  metadata: { name: string; annotations?: Record<string, string>; deletionTimestamp?: string };
  spec: { containers: { name: string }[] };
  status: object;
}

export interface ClusterOrders {
  how: ClusterBehaviour;
  pods: StandInPod[];
  cutAt?: number;
  /** Of the container. */
  environment?: Record<string, string>;
  /** What mongosh hears of the server in each pod; without it there is no mongosh. */
  hello?: Record<string, object>;
}

export interface ClusterStandIn {
  kubeconfig: string;
  /** The context to ask for. */
  context: string;
  /** The paths that were asked for, with their queries. */
  asked: string[];
  stop(): Promise<void>;
}

/** A pod that runs and is ready. */
export function readyPod(name = 'mongodb-0', containers: string[] = ['mongodb']): StandInPod {
  return {
    metadata: { name },
    spec: { containers: containers.map((container) => ({ name: container })) },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

const CONTEXT = 'aks-prod';

export async function clusterStandIn(tools: StandIns, wishes: Partial<ClusterOrders> = {}): Promise<ClusterStandIn> {
  const orders: ClusterOrders = { how: 'honest', pods: [readyPod()], ...wishes };
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(orders, request, response);
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: ([offered]) => offered ?? false });
  server.on('upgrade', (request, socket, head) => {
    asked.push(request.url ?? '');
    upgrade({ orders, sockets, programs: dirname(tools.mongodump) }, request, socket, head);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-cluster-stand-in-'));
  const kubeconfig = join(folder, 'config');
  if (orders.how !== 'no-kubeconfig') writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(server, orders.how)), { mode: 0o600 });
  if (orders.how === 'unreachable') await closed(server);
  return {
    kubeconfig,
    context: CONTEXT,
    asked,
    stop: async () => {
      for (const socket of sockets.clients) socket.terminate();
      await closed(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function kubeconfigOf(server: Server, how: ClusterBehaviour): object {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const name = how === 'no-context' ? 'other' : CONTEXT;
  return {
    // client-node takes http only together with this.
    clusters: [{ name: 'c', cluster: { server: url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name, context: { cluster: 'c', user: 'u' } }],
    'current-context': name,
  };
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}

function answer({ how, pods }: ClusterOrders, request: IncomingMessage, response: ServerResponse): void {
  const name = /\/pods\/([^/?]+)/.exec(request.url ?? '')?.[1];
  const pod = pods.find(({ metadata }) => metadata.name === name);
  if (how === 'logged-out') refuse(response, 401, 'Unauthorized', 'Unauthorized');
  else if (how === 'may-not-list') {
    refuse(response, 403, 'Forbidden', 'pods is forbidden: User "ci" cannot list resource "pods" in API group "" in the namespace "db"');
  } else if (name === undefined) response.end(JSON.stringify({ kind: 'PodList', metadata: {}, items: pods }));
  else if (pod) response.end(JSON.stringify(pod));
  else refuse(response, 404, 'NotFound', `pods "${name}" not found`);
}

function refuse(response: ServerResponse, code: number, reason: string, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ kind: 'Status', status: 'Failure', reason, message, code }));
}

interface Containers {
  orders: ClusterOrders;
  sockets: WebSocketServer;
  /** Folder of the programs inside the container. */
  programs: string;
}

function upgrade({ orders, sockets, programs }: Containers, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (orders.how === 'may-not-exec') {
    const message = 'pods "mongodb-0" is forbidden: User "ci" cannot create resource "pods/exec" in API group "" in the namespace "db"';
    const body = JSON.stringify({ kind: 'Status', status: 'Failure', reason: 'Forbidden', message, code: 403 });
    socket.end(
      `HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
    return;
  }
  const url = new URL(request.url ?? '', 'http://server');
  const pod = /\/pods\/([^/]+)\/exec/.exec(url.pathname)?.[1] ?? '';
  sockets.handleUpgrade(request, socket, head, (client) => {
    const send = (channel: number, data: string | Buffer): void => {
      client.send(Buffer.concat([Buffer.of(channel), Buffer.from(data)]));
    };
    const end = (status: object): void => {
      send(3, JSON.stringify({ metadata: {}, ...status }));
      client.close(1000);
    };
    const [program = '', ...words] = url.searchParams.getAll('command');
    const printed = short(orders, pod, program);
    if (printed !== undefined) {
      send(1, printed);
      end({ status: 'Success' });
    } else if (orders.how === 'no-program' || (program !== 'mongodump' && program !== 'mongorestore')) {
      const why = `exec: "${program}": executable file not found in $PATH: unknown`;
      const message = `Internal error occurred: OCI runtime exec failed: exec failed: unable to start container process: ${why}`;
      end({ status: 'Failure', reason: 'InternalError', message, code: 500 });
    } else run({ client, send, end, path: join(programs, program), words, orders });
  });
}

/** What `env` and mongosh print. */
function short({ environment = {}, hello }: ClusterOrders, pod: string, program: string): string | undefined {
  if (program === 'env') return Object.entries(environment).map(([key, value]) => `${key}=${value}\n`).join(''); // prettier-ignore
  return program === 'mongosh' && hello !== undefined ? JSON.stringify(hello[pod] ?? {}) : undefined;
}

interface Run {
  client: WebSocket;
  send: (channel: number, data: Buffer) => void;
  end: (status: object) => void;
  path: string;
  words: string[];
  orders: ClusterOrders;
}

function run({ client, send, end, path, words, orders: { how, cutAt = 0 } }: Run): void {
  const child = spawn(path, words, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined);
  client.on('message', (message: Buffer) => {
    if (message[0] === 0) child.stdin.write(message.subarray(1));
    // In version 4 nothing tells the end of a standard input; these programs read to it.
    if (message[0] === 255 || client.protocol === 'v4.channel.k8s.io') child.stdin.end();
  });
  client.once('close', () => child.kill('SIGKILL'));
  child.stderr.on('data', (data: Buffer) => {
    send(2, data);
    hold(client, child.stderr);
  });
  let passed = 0;
  child.stdout.on('data', (data: Buffer) => {
    const part = how === 'honest' || how === 'loses-exit-code' ? data : data.subarray(0, Math.max(0, cutAt - passed));
    passed += part.length;
    if (part.length > 0) send(1, part);
    hold(client, child.stdout);
    if (how === 'hangs' && passed >= cutAt) child.stdout.pause();
  });
  if (how === 'hangs') return;
  child.once('close', (code) => {
    if (how === 'websocket-dies') client.terminate();
    else if (how === 'loses-status') client.close(1000);
    else if (how === 'garbles-status') {
      send(3, Buffer.from('{"status":"Succ'));
      client.close(1000);
    } else if (how === 'pod-evicted') end(exitStatus(137));
    else end(how === 'honest' ? exitStatus(code ?? 1) : { status: 'Success' });
  });
}

/** Not more than a megabyte waits for a slow reader. */
function hold(client: WebSocket, stream: Readable): void {
  if (client.bufferedAmount < 2 ** 20) return;
  stream.pause();
  const timer = setInterval(() => {
    if (client.bufferedAmount >= 2 ** 20) return;
    clearInterval(timer);
    stream.resume();
  }, 5).unref();
}

function exitStatus(code: number): object {
  if (code === 0) return { status: 'Success' };
  const message = `command terminated with non-zero exit code: exit status ${code}`;
  return { status: 'Failure', reason: 'NonZeroExitCode', message, details: { causes: [{ reason: 'ExitCode', message: String(code) }] } };
}

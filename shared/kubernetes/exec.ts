// Runs a program in a container over a WebSocket, as a byte stream: what it reads and prints, and how it ended, each told for certain or not at all.
// Protocol: v4.channel.k8s.io and v5.channel.k8s.io: a message is one byte that says which stream, then data of that stream.
import { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import type WebSocket from 'ws';
import { cancelled, CancelledError, isDefect, UserError } from '../step/errors.ts';
import { LineCutter, TAIL_LINES, type ProcessEnd, type StreamingOptions, type StreamingProcess } from '../tools/process.ts';
import { ApiError, unreachable, type ApiStatus } from './api-error.ts';
import type { Cluster } from './cluster.ts';

/** A program inside a container. */
export interface PodCommand {
  namespace: string;
  pod: string;
  container: string;
  /** The program and its arguments, passed on as they are: there is no shell. */
  command: readonly string[];
  /**
   * Give the program a standard input: `open` can be written to but does not end, `ends` ends with the writer and needs Kubernetes 1.30.
   * Without it, it reads an end at once.
   */
  stdin?: 'open' | 'ends' | undefined;
}

/** The container has no such program, or cannot start it. */
export class NoProgramError extends UserError {}

/** Streams of the protocol. */
const [STDIN, STDOUT, STDERR, STATUS, CLOSE] = [0, 1, 2, 3, 255] as const;
/**
 * Cannot end a standard input. Its connection is passed on to the node as it is: half as fast again, and the program goes with it.
 */
const V4 = 'v4.channel.k8s.io';
/** KEP-4006. The API server translates it, and reads what the program prints to its end even when no one listens any more. */
const V5 = 'v5.channel.k8s.io';
/** Keeps proxies and load balancers from taking a silent connection for a dead one; Azure's cut after four minutes. */
const PING_MS = 30_000;
const HANDSHAKE_MS = 30_000;
/** So much may wait to be sent before a writer has to wait. */
const HIGH_WATER = 2 ** 20;
/** Of one message to the server, which reads a whole one into memory. */
const MOST_SENT = 2 ** 17;
/** A connection that is ended is waited for so long. */
const CLOSE_MS = 3000;

/**
 * Starts a program in a container. Without an input that ends it goes with its connection; else it may run on, and no one hears it.
 *
 * `ended` rejects with CancelledError; with ApiError when the server does not let this login do it; with NoProgramError; with UserError when
 * the connection broke before the program's end was told: `stdout` then ends with that error, never as if all had been read.
 */
export function runInPod(cluster: Cluster, command: PodCommand, options: StreamingOptions = {}): StreamingProcess {
  const run = new PodRun(cluster, command, options);
  return { stdin: run.stdin, stdout: run.stdout, ended: run.ended, stop: () => run.stop() };
}

class PodRun {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly ended: Promise<ProcessEnd>;
  readonly #command: PodCommand;
  readonly #options: StreamingOptions;
  readonly #opened: Promise<WebSocket>;
  readonly #lines: LineCutter;
  readonly #lastLines: string[] = [];
  #socket: WebSocket | undefined;
  #status: ApiStatus | undefined;
  #settle: (failure: unknown) => void = () => undefined;
  #stopped = false;

  constructor(cluster: Cluster, command: PodCommand, options: StreamingOptions) {
    this.#command = command;
    this.#options = options;
    this.#lines = new LineCutter((line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > TAIL_LINES) this.#lastLines.shift();
      options.onLine?.(line);
    });
    this.stdout = new Readable({
      highWaterMark: HIGH_WATER,
      read: () => {
        this.#socket?.resume();
      },
      destroy: (error, done) => {
        // A reader that wants no more.
        this.#socket?.resume();
        done(error);
      },
    });
    this.stdin = new Writable({
      highWaterMark: HIGH_WATER,
      write: (chunk: Buffer, _encoding, done) => {
        this.#opened.then((socket) => {
          send(socket, chunk, done);
        }, done);
      },
      final: (done) => {
        this.#opened.then((socket) => {
          this.#endInput(socket, done);
        }, done);
      },
    });
    // A program that ends before it read everything is told by its exit code.
    this.stdin.on('error', () => undefined);
    // The reader gets the error, and `ended` has it too.
    this.stdout.on('error', () => undefined);
    this.ended = new Promise<ProcessEnd>((resolve, reject) => {
      this.#settle = (failure) => {
        this.#finish(failure, resolve, reject);
      };
    });
    this.ended.catch(() => undefined);
    this.#opened = this.#open(cluster);
    this.#opened.catch((thrown: unknown) => {
      this.#settle(thrown);
    });
    options.signal?.addEventListener('abort', this.#abort, { once: true });
    if (!command.stdin) this.stdin.end();
  }

  /** Ends the connection, and with it the program. */
  async stop(): Promise<void> {
    this.#stopped = true;
    // Unread output would keep the connection open.
    this.stdout.resume();
    const socket = await this.#opened.catch(() => undefined);
    socket?.resume();
    socket?.close();
    const timer = setTimeout(() => socket?.terminate(), this.#options.killAfterMs ?? CLOSE_MS);
    await this.ended.catch(() => undefined);
    clearTimeout(timer);
  }

  readonly #abort = (): void => {
    void this.stop();
  };

  async #open(cluster: Cluster): Promise<WebSocket> {
    this.#options.signal?.throwIfAborted();
    const path = execPath(this.#command);
    const protocols = [this.#command.stdin === 'ends' ? V5 : V4];
    return openSocket(cluster, { path, protocols, signal: this.#options.signal }, (socket) => {
      this.#listen(socket);
    });
  }

  #listen(socket: WebSocket): void {
    this.#socket = socket;
    const ping = setInterval(() => {
      socket.ping();
    }, PING_MS);
    socket.on('message', (data: Buffer) => {
      this.#take(data);
    });
    socket.on('error', () => undefined);
    socket.once('close', (code: number) => {
      clearInterval(ping);
      this.#settle(this.#status ? undefined : this.#broken(code));
    });
  }

  #take(message: Buffer): void {
    const data = message.subarray(1);
    switch (message[0]) {
      case STDOUT:
        if (data.length > 0 && !this.stdout.destroyed && !this.stdout.push(data) && !this.#stopped) this.#socket?.pause();
        return;
      case STDERR:
        this.#lines.push(data.toString());
        return;
      case STATUS:
        this.#status = statusOf(data);
        return;
      default:
    }
  }

  #endInput(socket: WebSocket, done: (error?: Error | null) => void): void {
    if (this.#command.stdin === 'ends') socket.send(Buffer.from([CLOSE, STDIN]), done);
    else done();
  }

  #broken(code: number): UserError {
    const { pod, command } = this.#command;
    return new UserError(`The connection to pod ${pod} broke before ${command[0] ?? 'the program'} had ended (${code}).`, {
      fix: 'Run again. When it breaks again, look whether the pod was restarted, and for a proxy or load balancer that cuts long connections.',
    });
  }

  #finish(failure: unknown, resolve: (end: ProcessEnd) => void, reject: (reason: unknown) => void): void {
    const { signal } = this.#options;
    signal?.removeEventListener('abort', this.#abort);
    this.#lines.end();
    const end = failure === undefined ? this.#exit() : failure;
    const refused = signal?.aborted ? new CancelledError('Cancelled.', { cause: signal.reason }) : end instanceof Error ? end : undefined;
    if (!this.stdin.writableEnded) this.stdin.destroy();
    if (refused === undefined) {
      this.stdout.push(null);
      resolve(end as ProcessEnd);
      return;
    }
    // The reader of the output learns it there.
    if (this.#stopped) this.stdout.push(null);
    else this.stdout.destroy(refused);
    reject(refused);
  }

  /** How the program ended, by the status that the server sent last. */
  #exit(): ProcessEnd | UserError {
    const { status, reason, message = '', details } = (this.#status ?? {}) as ApiStatus & { status?: string };
    const end = { signal: null, lastLines: this.#lastLines };
    if (status === 'Success') return { code: 0, ...end };
    const code = details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
    if (reason === 'NonZeroExitCode' && code !== undefined) return { code: Number(code), ...end };
    return this.#notRun(message);
  }

  /** What the container's runtime says when it cannot run the program. */
  #notRun(message: string): UserError {
    const { pod, container, command } = this.#command;
    const words = message.replace(/^(Internal error occurred: |error executing command in container: )+/, '').replace(/\.$/, '');
    const what = `${command[0] ?? ''} cannot be run in container ${container} of pod ${pod}: ${words}.`;
    if (/executable file not found|no such file or directory/i.test(message)) {
      return new NoProgramError(what, { fix: 'Choose a container that has that program, or add one to the pod.' });
    }
    if (/container not found|container .* is not valid for pod/i.test(message)) {
      return new UserError(what, { fix: 'The container is not running, or has another name: look with kubectl describe pod.' });
    }
    return new UserError(what, { fix: 'Look at the pod and its node: the runtime there did not do it. Then run again.' });
  }
}

/** How the server says the program ended; undefined when that cannot be read, which is as if it had not been told. */
function statusOf(data: Buffer): ApiStatus | undefined {
  try {
    return JSON.parse(data.toString()) as ApiStatus;
  } catch {
    return undefined;
  }
}

function execPath({ namespace, pod, container, command, stdin }: PodCommand): string {
  const query = new URLSearchParams({ container, stdout: 'true', stderr: 'true', stdin: String(stdin !== undefined), tty: 'false' });
  for (const word of command) query.append('command', word);
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/exec?${query.toString()}`;
}

/** Sends data of the standard input; `done` when more may follow. */
function send(socket: WebSocket, data: Buffer, done: (error?: Error | null) => void): void {
  for (let at = 0; at < data.length; at += MOST_SENT) {
    const part = data.subarray(at, at + MOST_SENT);
    const message = Buffer.allocUnsafe(part.length + 1);
    message[0] = STDIN;
    message.set(part, 1);
    const last = at + MOST_SENT >= data.length;
    if (!last) socket.send(message);
    else if (socket.bufferedAmount < HIGH_WATER) {
      socket.send(message);
      done();
    } else socket.send(message, done);
  }
  if (data.length === 0) done();
}

/**
 * Opens a WebSocket to the API server; asks once more with a new login where the one it has ran out.
 * @param listen called as soon as it is open: what the server sends at once is not to be missed
 * @throws ApiError when the server says no; ClusterUnreachableError; CancelledError
 */
export async function openSocket(
  { connection }: Cluster,
  { path, protocols, signal }: { path: string; protocols: string[]; signal: AbortSignal | undefined },
  listen: (socket: WebSocket) => void,
): Promise<WebSocket> {
  // Only few runs need it.
  const { default: Socket } = await import('ws');
  for (let attempt = 1; ; attempt += 1) {
    const { agent, ...options } = await connection.login();
    const url = `${connection.server.replace(/^http/, 'ws')}${path}`;
    const socket = new Socket(url, protocols, {
      ...(options as WebSocket.ClientOptions),
      ...(agent === undefined ? {} : { agent: agent as NonNullable<WebSocket.ClientOptions['agent']> }),
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS,
      // Our streams are bytes; frames of the server are as long as its pipes.
      skipUTF8Validation: true,
    });
    const abort = (): void => {
      socket.terminate();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await opened(socket, path, listen);
    } catch (thrown) {
      if (signal?.aborted) throw cancelled(signal, thrown);
      if (thrown instanceof ApiError && thrown.status === 401 && attempt === 1) {
        await connection.renewLogin();
        continue;
      }
      if (isDefect(thrown)) throw thrown;
      throw unreachable(thrown, connection.server);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }
}

function opened(socket: WebSocket, path: string, listen: (socket: WebSocket) => void): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => {
      socket.off('error', reject);
      listen(socket);
      resolve(socket);
    });
    socket.once('error', reject);
    socket.once('unexpected-response', (_request: unknown, response: IncomingMessage) => {
      buffer(response).then((text) => {
        reject(new ApiError(response.statusCode ?? 0, text.toString(), { method: 'GET', path }));
      }, reject);
    });
  });
}

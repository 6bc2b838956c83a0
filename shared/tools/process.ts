// Runs an outside program as a byte stream: no shell, bounded memory for what it prints, ended when we are cancelled.
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { CancelledError, UserError } from '../step/errors.ts';
import { ChildGroup, GROUP_OPTIONS } from './child-group.ts';

export interface StreamingOptions {
  /** Added to our own environment; undefined removes a name. */
  env?: Record<string, string | undefined>;
  cwd?: string;
  signal?: AbortSignal;
  /** Called with each line of standard error, without its line end, cut at 4,000 characters. */
  onLine?: (line: string) => void;
  /** How long the program may take to end by itself after SIGTERM. Default 3 s: CI systems give a cancelled step 10 s in all. */
  killAfterMs?: number;
}

/** How a program ended. */
export interface ProcessEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The last lines of standard error, at most 30. */
  lastLines: string[];
}

export interface StreamingProcess {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves when the program has ended and its streams are closed. */
  readonly ended: Promise<ProcessEnd>;
  /** SIGTERM to the program, then SIGKILL to it and all that it has started. Resolves when they are gone. */
  stop(): Promise<void>;
}

/** GitHub and Azure kill a step 10 s after its cancel: the program must be gone early enough for what comes after it. */
const KILL_AFTER_MS = 3000;
const LINE_LIMIT = 4000;
/** So many of the last lines are kept. */
export const TAIL_LINES = 30;

/**
 * Starts a program with an argument list.
 * `ended` rejects with CancelledError when the signal was aborted, and with UserError when the program could not be started.
 */
export function runStreaming(command: string, args: readonly string[], options: StreamingOptions = {}): StreamingProcess {
  const child = spawn(command, args, {
    env: { ...process.env, ...options.env },
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...GROUP_OPTIONS,
  });
  const group = new ChildGroup(child);
  let closed = false;
  const lastLines: string[] = [];
  const lines = new LineCutter((line) => {
    lastLines.push(line);
    if (lastLines.length > TAIL_LINES) lastLines.shift();
    options.onLine?.(line);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    lines.push(text);
  });
  // A program that ends before it read everything breaks the pipe; its exit code tells the story.
  child.stdin.on('error', () => undefined);
  let killTimer: NodeJS.Timeout | undefined;
  const terminate = (): void => {
    if (killTimer !== undefined || closed) return;
    group.terminate();
    killTimer = setTimeout(() => {
      group.kill();
      // A process that has left the group would keep the pipes open, and us waiting for their end.
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.killAfterMs ?? KILL_AFTER_MS);
  };
  options.signal?.addEventListener('abort', terminate, { once: true });
  if (options.signal?.aborted) terminate();
  const ended = new Promise<ProcessEnd>((resolve, reject) => {
    child.once('error', (cause) => {
      closed = true;
      clearTimeout(killTimer);
      group.forget();
      reject(new UserError(`${command} could not be started: ${cause.message}.`, { cause }));
    });
    child.once('close', (code, signal) => {
      closed = true;
      clearTimeout(killTimer);
      // It was ended by us: what it has started goes with it, also what holds none of its pipes.
      if (killTimer !== undefined) group.kill();
      group.forget();
      options.signal?.removeEventListener('abort', terminate);
      lines.end();
      if (options.signal?.aborted) reject(new CancelledError('Cancelled.', { cause: options.signal.reason }));
      else resolve({ code, signal, lastLines });
    });
  });
  // What awaits `ended` gets the failure; until then it must not count as unhandled.
  ended.catch(() => undefined);
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    ended,
    stop: async () => {
      terminate();
      // Unread output would keep the streams open.
      child.stdout.resume();
      await ended.catch(() => undefined);
    },
  };
}

/** Cuts text into lines, also at carriage returns, with a bound on the length of one. */
export class LineCutter {
  readonly #take: (line: string) => void;
  #rest = '';

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(text: string): void {
    const parts = (this.#rest + text).split(/[\r\n]+/);
    this.#rest = (parts.pop() ?? '').slice(0, LINE_LIMIT);
    for (const part of parts) this.#tell(part);
  }

  end(): void {
    this.#tell(this.#rest);
    this.#rest = '';
  }

  #tell(line: string): void {
    if (line.trim() !== '') this.#take(line.slice(0, LINE_LIMIT));
  }
}

/** Raised by `withDeadline` when nothing moved for too long. */
export class HangError extends UserError {}

/**
 * Passes a stream on, but not its silence: the time counts only while we wait for the producer, never while our reader is slow.
 * @throws HangError when nothing arrived for `idleMs`
 */
export async function* withDeadline(stream: AsyncIterable<Uint8Array>, idleMs: number, what: string): AsyncGenerator<Uint8Array> {
  const iterator = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await inTime(iterator.next(), idleMs, what);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not waited for: it may hang. What it still has to complain about is no news.
    iterator.return?.().catch(() => undefined);
  }
}

/** @throws HangError when the promise has not settled after `idleMs` */
export async function inTime<T>(promise: Promise<T>, idleMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          reject(new HangError(`${what} made no progress for ${Math.round(idleMs / 1000)} s and was ended.`));
        }, idleMs);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

// What a process owes to the machine it runs on: end cleanly on a signal, and leave no private file behind.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, EXIT_CODES } from '../step/errors.ts';
import { surviveLostOutput } from './output.ts';

/** One Ctrl-C arrives twice when a wrapper (npm, a shell script) forwards it; closer than this counts as one. */
const SAME_SIGNAL_MS = 300;

export interface LifecycleOptions {
  /** The folder to make private temporary folders in. */
  tempRoot: string;
  /** Told at the first signal; the clean-up goes on behind it. */
  onCancel(signal: NodeJS.Signals): void;
  /** Told when something was thrown past everyone: a bug. The process ends after it. */
  onCrash(message: string): void;
}

/**
 * Signals, crashes and the private temporary folder of one process.
 * The first SIGINT or SIGTERM aborts `signal` and lets the step clean up; the same one again ends the process at once with 130.
 * (GitHub and Azure send SIGINT, SIGTERM 7.5 s later and kill 2.5 s after that: the SIGTERM must not cut the clean-up short.)
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #controller = new AbortController();
  readonly #received = new Map<NodeJS.Signals, number>();
  readonly #listeners: [event: string, listener: (thrown: unknown) => void][] = [];
  #tempDir: string | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    surviveLostOutput();
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'] as const) {
      this.#on(name, () => {
        this.#receive(name);
      });
    }
    this.#on('uncaughtException', (error) => {
      this.#crash(error);
    });
    this.#on('unhandledRejection', (error) => {
      this.#crash(error);
    });
    this.#on('exit', () => {
      this.removeTempDir();
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** A folder only this user can enter (0700), made at first use, removed at the end whatever ends the process but a kill. */
  get tempDir(): string {
    return (this.#tempDir ??= mkdtempSync(join(this.#options.tempRoot, 'lifeboat-')));
  }

  removeTempDir(): void {
    if (this.#tempDir === undefined) return;
    rmSync(this.#tempDir, { recursive: true, force: true });
    this.#tempDir = undefined;
  }

  /** Ends the watch: the temporary folder goes, and signals mean again what they mean to any process. */
  close(): void {
    this.removeTempDir();
    for (const [event, listener] of this.#listeners) process.off(event, listener);
  }

  #on(event: string, listener: (thrown: unknown) => void): void {
    process.on(event, listener);
    this.#listeners.push([event, listener]);
  }

  #receive(name: NodeJS.Signals): void {
    const before = this.#received.get(name);
    const now = performance.now();
    if (before !== undefined && now - before > SAME_SIGNAL_MS) process.exit(EXIT_CODES.cancelled);
    if (before === undefined) this.#received.set(name, now);
    if (this.#controller.signal.aborted) return;
    this.#options.onCancel(name);
    this.#controller.abort(new Error(`Received ${name}`));
  }

  #crash(error: unknown): void {
    this.#options.onCrash(error instanceof Error ? (error.stack ?? error.message) : errorMessage(error));
    process.exit(EXIT_CODES.failed);
  }
}

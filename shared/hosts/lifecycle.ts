// What a process owes to the machine it runs on: end cleanly on a signal, and leave no private file behind.
import { errorMessage, EXIT_CODES } from '../step/errors.ts';
import { killChildren } from '../tools/child-group.ts';
import { RunFolder, sweepRunFolders } from '../tools/run-folder.ts';
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

/** Signals that ask for a clean end; what a platform does not have is never sent. */
const CANCELS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK'] as const;

/**
 * Signals, crashes and the private temporary folder of one process.
 * The first SIGINT or SIGTERM removes the files with secrets, aborts `signal` and lets the step clean up; the same one again ends the
 * process at once with 130, and its children with it.
 * (GitHub and Azure send SIGINT, SIGTERM 7.5 s later and kill 2.5 s after that: the SIGTERM must not cut the clean-up short, but a child
 * that is still there then is killed. SIGQUIT, which is Ctrl-\ on a terminal, ends the process at once.)
 */
export class Lifecycle {
  readonly #options: LifecycleOptions;
  readonly #controller = new AbortController();
  readonly #received = new Map<NodeJS.Signals, number>();
  readonly #listeners: [event: string, listener: (thrown: unknown) => void][] = [];
  #folder: RunFolder | undefined;

  constructor(options: LifecycleOptions) {
    this.#options = options;
    surviveLostOutput();
    sweepRunFolders(options.tempRoot);
    for (const name of CANCELS) {
      this.#on(name, () => {
        this.#receive(name);
      });
    }
    this.#on('SIGQUIT', () => process.exit(EXIT_CODES.cancelled));
    this.#on('uncaughtException', (error) => {
      this.#crash(error);
    });
    this.#on('unhandledRejection', (error) => {
      this.#crash(error);
    });
    this.#on('exit', () => {
      this.removeTempDir();
      killChildren();
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * A folder only this user can enter (0700), made at first use, removed at a cancel and at the end whatever ends the process but a kill;
   * what a kill leaves, a later run removes.
   */
  get tempDir(): string {
    return (this.#folder ??= RunFolder.make(this.#options.tempRoot)).path;
  }

  removeTempDir(): void {
    if (this.#folder?.remove()) this.#folder = undefined;
  }

  /** Ends the watch: the temporary folder and what still runs go, and signals mean again what they mean to any process. */
  close(): void {
    this.removeTempDir();
    killChildren();
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
    // First of all: whatever comes after it may be cut short.
    this.removeTempDir();
    if (this.#controller.signal.aborted) {
      if (before === undefined) killChildren();
      return;
    }
    this.#options.onCancel(name);
    this.#controller.abort(new Error(`Received ${name}`));
  }

  #crash(error: unknown): void {
    this.#options.onCrash(error instanceof Error ? (error.stack ?? error.message) : errorMessage(error));
    process.exit(EXIT_CODES.failed);
  }
}

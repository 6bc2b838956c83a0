// The port between a step and the place it runs in: all that a step may know of GitHub, Azure Pipelines or a terminal.
import type { ErrorKind, Outcome } from './errors.ts';

export type HostKind = 'github' | 'azure' | 'terminal' | 'memory';

/** How far a long piece of work is. Hosts show it as a live line (terminal) or as sparse plain lines (CI). */
export interface Progress {
  /** What is going on, in the present tense: `Dumping`, `Reading back`. */
  phase: string;
  /** Work done so far, in `unit`. */
  done: number;
  /** Expected total in `unit`, when known or estimated. */
  total?: number | undefined;
  unit: 'bytes' | 'documents' | 'objects';
  /** A short addition, such as the collection in work. */
  detail?: string;
}

/** Who and what started this run; goes into run records and the audit log. No secrets. */
export interface RunIdentity {
  /** Run id in the CI system, or a random id on a terminal. */
  id: string;
  /** Address of the run in the CI system. */
  url?: string;
  actor?: string;
  workflow?: string;
}

/** What an Azure Pipelines service connection tells about itself (`AzurePipelinesCredential` of @azure/identity). */
export interface ServiceConnection {
  id: string;
  tenantId: string;
  clientId: string;
  /** The job's System.AccessToken; a secret. */
  accessToken: string;
  /** Set when the connection is a service principal with a client secret instead of workload identity. */
  clientSecret?: string;
}

/** What helps a person after a failure. */
export interface FailureHelp {
  /** The newest good backup; null when there is none. */
  lastGoodBackup?: string | null | undefined;
  /** A command line to run next. */
  next?: string | undefined;
}

/** What a finished step hands to its host. */
export interface Finish {
  /** What ran on what, for a heading: `MongoDB backup of shop/mongodb`. */
  subject?: string | undefined;
  help?: FailureHelp | undefined;
  outcome: Outcome;
  /** Process exit code, from EXIT_CODES. */
  exitCode: number;
  /** The step's machine-readable result, shown by `--json`. */
  result?: unknown;
  warnings: string[];
  error?: { kind: ErrorKind | 'bug'; message: string; fix?: string | undefined; stack?: string | undefined };
}

export interface Host {
  readonly kind: HostKind;
  /** An input's name as the user of this host writes it; takes the camelCase name of the definition. */
  spell(inputName: string): string;
  /** The text given for an input, by camelCase name; undefined or '' when it was not given. */
  rawInput(inputName: string): string | undefined;
  /** Every input name the user gave, in the host's own spelling, where the host can tell; used to catch renamed inputs. */
  givenInputs(): string[];
  setOutput(name: string, value: string): void;
  /** Registers a secret, whole and per line. Must come before anything that could print it. */
  mask(secret: string): void;
  debug(message: string): void;
  info(message: string): void;
  notice(message: string): void;
  warning(message: string): void;
  error(message: string): void;
  /** Runs `work` with its log lines folded under a title where the host can. */
  group<T>(title: string, work: () => Promise<T>): Promise<T>;
  progress(update: Progress): void;
  /** Appends Markdown to the job summary. */
  summary(markdown: string): Promise<void>;
  /**
   * A fresh OIDC token of the CI system for an audience. Lives minutes: ask again instead of keeping it.
   * @throws UserError where the host has none, saying which permission is missing.
   */
  oidcToken(audience: string): Promise<string>;
  /** The named Azure service connection; undefined on hosts without them. */
  serviceConnection(name: string): ServiceConnection | undefined;
  /** Asks a person to type an answer; undefined where no one can be asked (CI, no TTY, --quiet). */
  ask(question: string): Promise<string | undefined>;
  /** A private folder for short-lived files; removed by the host at the end. */
  readonly tempDir: string;
  /** Aborted by Ctrl-C, SIGTERM or the CI system's cancel. */
  readonly signal: AbortSignal;
  readonly run: RunIdentity;
  /** Tells the host how the step ended. The last call. */
  finish(finish: Finish): Promise<void>;
}

// One step inside another, about one component: with the values that the outer call was given, and through its host.
import type { AnyStep, StepContext } from '../step/define.ts';
import type { Finish, Host, Progress, RunIdentity, ServiceConnection } from '../step/host.ts';
import { runStep } from '../step/run.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { sessionOf } from '../session/session.ts';

interface PartOptions {
  /** Stands before each line, so that a reader knows which component it is about. */
  label: string;
  /** The outer step shows what the inner one found. */
  withoutSummary?: boolean | undefined;
}

/** What the inner step takes besides what the outer one was given. */
interface PartInputs {
  component: string;
  timestamp?: Timestamp;
}

/** Runs a step about one component to its end. What went wrong is in the returned record. */
export function runPart(
  context: StepContext,
  step: AnyStep,
  inputs: PartInputs,
  options: Omit<PartOptions, 'label'> = {},
): Promise<Finish> {
  const given = Object.entries(context.inputs).filter(([name]) => context.origin(name) === 'input');
  return runStep(step, new PartHost(context.host, { ...options, label: inputs.component }), {
    clock: context.clock,
    openConfig: sessionOf(context).config,
    given: { ...Object.fromEntries(given), ...inputs },
  });
}

/** Nothing of the inner step reaches the real host's outputs or its end. */
class PartHost implements Host {
  readonly #host: Host;
  readonly #options: PartOptions;

  constructor(host: Host, options: PartOptions) {
    this.#host = host;
    this.#options = options;
  }

  get kind(): Host['kind'] {
    return this.#host.kind;
  }
  get tempDir(): string {
    return this.#host.tempDir;
  }
  get signal(): AbortSignal {
    return this.#host.signal;
  }
  get run(): RunIdentity {
    return this.#host.run;
  }

  spell(inputName: string): string {
    return this.#host.spell(inputName);
  }
  rawInput(inputName: string): string | undefined {
    return this.#host.rawInput(inputName);
  }
  givenInputs(): string[] {
    return [];
  }
  setOutput(): void {
    // The outer step has outputs of its own.
  }
  mask(secret: string): void {
    this.#host.mask(secret);
  }
  debug(message: string): void {
    this.#host.debug(this.#labelled(message));
  }
  info(message: string): void {
    this.#host.info(this.#labelled(message));
  }
  notice(message: string): void {
    this.#host.notice(this.#labelled(message));
  }
  /** The outer step tells warnings at its end, with the component's name; here they would come twice. */
  warning(message: string): void {
    this.debug(message);
  }
  error(message: string): void {
    this.#host.error(this.#labelled(message));
  }
  async group<T>(title: string, work: () => Promise<T>): Promise<T> {
    return this.#host.group(title, work);
  }
  progress(update: Progress): void {
    this.#host.progress({ ...update, phase: `${this.#options.label}: ${update.phase}` });
  }
  async summary(markdown: string): Promise<void> {
    if (this.#options.withoutSummary) return;
    await this.#host.summary(markdown);
  }
  async oidcToken(audience: string): Promise<string> {
    return this.#host.oidcToken(audience);
  }
  serviceConnection(name: string): ServiceConnection | undefined {
    return this.#host.serviceConnection(name);
  }
  async ask(question: string): Promise<string | undefined> {
    return this.#host.ask(question);
  }
  async finish(): Promise<void> {
    // The outer step ends the real host.
  }

  #labelled(message: string): string {
    return `${this.#options.label}: ${message}`;
  }
}

// A host for one step inside another: it speaks through the real one, with inputs of its own, and keeps what the inner step puts out.
import type { Host, Progress, RunIdentity, ServiceConnection } from '../step/host.ts';

export interface PartOptions {
  /** Stands before each line, so that a reader knows whom it is about. */
  label: string;
  /** Texts by camelCase input name. */
  inputs: Readonly<Record<string, string>>;
  /** Inputs that are taken from the real host as they are. */
  shared: readonly string[];
  /** The outer step shows what the inner one found. */
  withoutSummary?: boolean | undefined;
}

/** The inner step's outputs are in `outputs`; nothing of it reaches the real host's outputs or its end. */
export class PartHost implements Host {
  readonly outputs: Record<string, string> = {};
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
    return this.#options.inputs[inputName] ?? (this.#options.shared.includes(inputName) ? this.#host.rawInput(inputName) : undefined);
  }
  givenInputs(): string[] {
    return [];
  }
  setOutput(name: string, value: string): void {
    this.outputs[name] = value;
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

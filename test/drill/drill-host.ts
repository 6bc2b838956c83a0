// The host of the drill: a step's progress goes to the phase it is in, its words to a log file, its end to the drill.
import { appendFileSync } from 'node:fs';
import { Masker } from '../../shared/step/masking.ts';
import { UserError } from '../../shared/step/errors.ts';
import type { Finish, Host, Progress } from '../../shared/step/host.ts';
import type { PhaseRun } from './phase-facts.ts';

export interface DrillHostOptions {
  inputs: Record<string, string>;
  phase: PhaseRun;
  tempDir: string;
  signal: AbortSignal;
  /** Everything the step says goes here. */
  logFile: string;
  /** Called for what a person should see at once: notices, warnings and errors. */
  say: (line: string) => void;
}

export class DrillHost implements Host {
  readonly kind = 'terminal' as const;
  readonly outputs: Record<string, string> = {};
  readonly tempDir: string;
  readonly signal: AbortSignal;
  readonly run = { id: `drill-${process.pid}`, workflow: 'drill' };
  readonly #options: DrillHostOptions;
  readonly #masker = new Masker();

  constructor(options: DrillHostOptions) {
    this.#options = options;
    this.tempDir = options.tempDir;
    this.signal = options.signal;
  }

  spell(name: string): string {
    return name;
  }
  rawInput(name: string): string | undefined {
    return this.#options.inputs[name];
  }
  givenInputs(): string[] {
    return Object.keys(this.#options.inputs);
  }
  setOutput(name: string, value: string): void {
    this.outputs[name] = value;
  }
  mask(secret: string): void {
    this.#masker.add(secret);
  }
  debug(message: string): void {
    this.#log('debug', message);
  }
  info(message: string): void {
    this.#log('info', message);
  }
  notice(message: string): void {
    this.#log('notice', message);
  }
  warning(message: string): void {
    this.#log('warning', message);
    this.#options.say(this.#masker.clean(message));
  }
  error(message: string): void {
    this.#log('error', message);
  }
  async group<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.#log('group', title);
    return work();
  }
  progress(update: Progress): void {
    this.#options.phase.progress(update);
  }
  async summary(markdown: string): Promise<void> {
    this.#log('summary', `\n${markdown}`);
  }
  async oidcToken(): Promise<string> {
    throw new UserError('The drill has no OIDC tokens.');
  }
  serviceConnection(): undefined {
    return undefined;
  }
  async ask(): Promise<undefined> {
    return undefined;
  }
  async finish(finish: Finish): Promise<void> {
    this.#log('finish', JSON.stringify(finish));
  }
  #log(level: string, message: string): void {
    appendFileSync(this.#options.logFile, `${level}: ${this.#masker.clean(message)}\n`);
  }
}

// The host of unit tests: inputs from an object, everything said is kept.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../step/errors.ts';
import type { Finish, Host, Progress, ServiceConnection } from '../step/host.ts';

export interface MemoryHostOptions {
  inputs?: Record<string, string>;
  signal?: AbortSignal;
  answer?: string;
  oidcToken?: (audience: string) => Promise<string>;
  serviceConnections?: Record<string, ServiceConnection>;
}

/** A Host that remembers. `log` holds `level: message` lines, with masked secrets replaced as a CI system would. */
export class MemoryHost implements Host {
  readonly kind = 'memory' as const;
  readonly outputs: Record<string, string> = {};
  readonly log: string[] = [];
  readonly masked: string[] = [];
  readonly progressed: Progress[] = [];
  summaryText = '';
  finished: Finish | undefined;
  readonly signal: AbortSignal;
  readonly run = { id: 'memory' };
  readonly #options: MemoryHostOptions;
  #tempDir: string | undefined;

  constructor(options: MemoryHostOptions = {}) {
    this.#options = options;
    this.signal = options.signal ?? new AbortController().signal;
  }

  get tempDir(): string {
    return (this.#tempDir ??= mkdtempSync(join(tmpdir(), 'lifeboat-memory-')));
  }

  spell(name: string): string {
    return name;
  }
  rawInput(name: string): string | undefined {
    return this.#options.inputs?.[name];
  }
  givenInputs(): string[] {
    return Object.keys(this.#options.inputs ?? {});
  }
  setOutput(name: string, value: string): void {
    this.outputs[name] = value;
  }
  mask(secret: string): void {
    this.masked.push(secret, ...secret.split(/\r?\n/).filter((line) => line.trim() !== ''));
  }
  #say(level: string, message: string): void {
    let shown = message;
    for (const secret of this.masked) shown = shown.replaceAll(secret, '***');
    this.log.push(`${level}: ${shown}`);
  }
  debug(message: string): void {
    this.#say('debug', message);
  }
  info(message: string): void {
    this.#say('info', message);
  }
  notice(message: string): void {
    this.#say('notice', message);
  }
  warning(message: string): void {
    this.#say('warning', message);
  }
  error(message: string): void {
    this.#say('error', message);
  }
  async group<T>(title: string, work: () => Promise<T>): Promise<T> {
    this.#say('group', title);
    return work();
  }
  progress(update: Progress): void {
    this.progressed.push(update);
  }
  async summary(markdown: string): Promise<void> {
    this.summaryText += markdown;
  }
  async oidcToken(audience: string): Promise<string> {
    if (!this.#options.oidcToken) throw new UserError('This host has no OIDC tokens.');
    return this.#options.oidcToken(audience);
  }
  serviceConnection(name: string): ServiceConnection | undefined {
    return this.#options.serviceConnections?.[name];
  }
  async ask(): Promise<string | undefined> {
    return this.#options.answer;
  }
  async finish(finish: Finish): Promise<void> {
    this.finished = finish;
  }
}

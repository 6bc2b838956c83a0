// A person's terminal, or a script that calls us, as a host: a live progress line on a TTY, plain lines elsewhere, `--json` for machines.
import { randomUUID } from 'node:crypto';
import { tmpdir, userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { CancelledError, UserError } from '../step/errors.ts';
import { formatSeconds, plural } from '../step/format.ts';
import type { Finish, Host, Progress, RunIdentity } from '../step/host.ts';
import { kebabCase } from '../step/input.ts';
import { Lifecycle } from './lifecycle.ts';
import { renderMarkdown } from './markdown.ts';
import { Masker } from '../step/masking.ts';
import { ProgressText } from './progress.ts';
import { canRedraw, isPlain } from './terminal-abilities.ts';
import { secretFileOption, secretVariable } from './terminal-secrets.ts';
import { displayWidth, inertOnTerminal, wrapMessage } from './text-layout.ts';

/** A live line is redrawn at most this often while updates come, and this often while none does. */
const REDRAW_MS = 100;
const STILL_MS = 1000;
/** Columns that a live line leaves free: a terminal that is written full goes to the next line, and Ctrl-C is echoed as `^C`. */
const FREE_COLUMNS = 3;
/** Messages are broken at this width on wider terminals: longer lines are hard to read. */
const MESSAGE_COLUMNS = 120;
/** Less is a terminal that does not know its width. */
const NARROWEST_TERMINAL = 20;

export interface TerminalOptions {
  /** The command's name, for `--json`. */
  command: string;
  /** Texts by camelCase input name; the command line has read them, secrets included. */
  inputs: Record<string, string>;
  /** Inputs (camelCase) that are secrets, and so have no option of their own. */
  secretInputs?: readonly string[];
  /** One JSON object on standard output at the end; everything for people goes to standard error. */
  json?: boolean;
  /** Only warnings and errors (and the JSON object), and no questions. */
  quiet?: boolean;
  /** Debug lines, too. */
  verbose?: boolean;
}

export class TerminalHost implements Host {
  readonly kind = 'terminal' as const;
  readonly run: RunIdentity;
  readonly #options: TerminalOptions;
  readonly #masker = new Masker();
  readonly #lifecycle: Lifecycle;
  readonly #progress = new ProgressText();
  readonly #outputs: Record<string, string> = {};
  readonly #started = performance.now();
  readonly #out: NodeJS.WriteStream;
  #summary = '';
  #liveLine = false;
  #liveWidth = 0;
  /** A question stands on the line, without an answer yet. */
  #asking = false;
  #drawnAt = -Infinity;
  #latest: Progress | undefined;
  #redraw: NodeJS.Timeout | undefined;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#out = options.json ? process.stderr : process.stdout;
    this.run = { id: randomUUID(), ...actor() };
    this.#lifecycle = new Lifecycle({
      tempRoot: tmpdir(),
      onCancel: () => {
        this.warning('Cancelling and cleaning up. Press Ctrl-C again to stop at once.');
      },
      onCrash: (message) => {
        this.error(message);
      },
    });
  }

  get tempDir(): string {
    return this.#lifecycle.tempDir;
  }
  get signal(): AbortSignal {
    return this.#lifecycle.signal;
  }

  spell(inputName: string): string {
    if (this.#options.secretInputs?.includes(inputName)) return `${secretVariable(inputName)} (or ${secretFileOption(inputName)})`;
    return `--${kebabCase(inputName)}`;
  }
  rawInput(inputName: string): string | undefined {
    return this.#options.inputs[inputName];
  }
  givenInputs(): string[] {
    return Object.keys(this.#options.inputs).map((name) => this.spell(name));
  }
  setOutput(name: string, value: string): void {
    this.#outputs[kebabCase(name)] = value;
    this.debug(`${kebabCase(name)}=${value}`);
  }
  mask(secret: string): void {
    this.#masker.add(secret);
  }

  debug(message: string): void {
    if (this.#options.verbose) this.#say(process.stderr, 'dim', `debug: ${message}`);
  }
  info(message: string): void {
    if (!this.#options.quiet) this.#say(this.#out, undefined, message);
  }
  notice(message: string): void {
    if (!this.#options.quiet) this.#say(this.#out, 'cyan', message);
  }
  warning(message: string): void {
    this.#say(process.stderr, 'yellow', `warning: ${message}`);
  }
  error(message: string): void {
    this.#say(process.stderr, 'red', `error: ${message}`);
  }
  async group<T>(title: string, work: () => Promise<T>): Promise<T> {
    if (!this.#options.quiet) this.#say(this.#out, 'bold', title);
    return work();
  }

  progress(update: Progress): void {
    const now = performance.now();
    const begins = this.#progress.update(update, now);
    if (this.#options.quiet) return;
    if (canRedraw(process.stderr)) {
      this.#latest = update;
      if (!begins && now - this.#drawnAt < REDRAW_MS) return;
      this.#drawnAt = now;
      this.#draw(process.stderr, update);
      clearInterval(this.#redraw);
      this.#redraw = setInterval(() => {
        if (this.#liveLine) this.#draw(process.stderr, this.#latest ?? update);
      }, STILL_MS).unref();
    } else if (!begins && this.#progress.plainLineDue(now)) {
      this.info(this.#progress.line(update));
    }
  }

  async summary(markdown: string): Promise<void> {
    this.#summary += `${markdown}\n`;
  }
  async oidcToken(): Promise<string> {
    throw new UserError('A terminal has no OIDC token.', {
      fix: 'Sign in with "az login", or give the client id, tenant id and client secret.',
    });
  }
  serviceConnection(): undefined {
    return undefined;
  }

  /** @throws CancelledError when the person presses Ctrl-C instead of answering. */
  async ask(question: string): Promise<string | undefined> {
    // A question without what was said before it, such as a plan, cannot be answered.
    if (this.#options.quiet || !process.stdin.isTTY || !process.stderr.isTTY) return undefined;
    this.#clearLive();
    const reader = createInterface({ input: process.stdin, output: process.stderr, ...(isPlain() ? { terminal: false } : {}) });
    // readline takes Ctrl-C for itself while it waits.
    reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    this.#asking = true;
    try {
      const answer = await reader.question(question, { signal: this.signal });
      this.#asking = false;
      return answer;
    } catch (cause) {
      throw new CancelledError('Cancelled: the question was not answered.', { cause });
    } finally {
      reader.close();
    }
  }

  async finish(finish: Finish): Promise<void> {
    const seconds = (performance.now() - this.#started) / 1000;
    clearInterval(this.#redraw);
    this.#clearLive();
    if (this.#summary !== '' && !this.#options.quiet) {
      const markdown = inertOnTerminal(this.#masker.clean(this.#summary));
      this.#out.write(`\n${renderMarkdown(markdown, this.#style(), columnsOf(this.#out))}\n\n`);
    }
    this.#closingLines(finish, seconds);
    if (this.#options.json) {
      // What a summary is made of is no part of the result.
      const document = {
        step: this.#options.command,
        ...finish,
        subject: undefined,
        help: undefined,
        seconds: Number(seconds.toFixed(3)),
        outputs: this.#outputs,
      };
      process.stdout.write(`${JSON.stringify(this.#masker.cleanDeep(document))}\n`);
    }
    process.exitCode = finish.exitCode;
    this.#lifecycle.close();
  }

  #closingLines(finish: Finish, seconds: number): void {
    if (finish.error) {
      const { message, fix, stack } = finish.error;
      if (finish.outcome === 'cancelled') this.#say(process.stderr, 'yellow', message);
      else this.error(message);
      if (fix !== undefined) this.#say(process.stderr, undefined, fix);
      if (stack !== undefined) this.#say(process.stderr, 'dim', stack);
    } else if (!this.#options.quiet) {
      const doubts = finish.warnings.length > 0 ? `, with ${plural(finish.warnings.length, 'warning')}` : '';
      this.#say(this.#out, finish.outcome === 'partial' ? 'yellow' : 'green', `Done in ${formatSeconds(seconds)}${doubts}.`);
    }
  }

  #style(): { bold(text: string): string; dim(text: string): string } {
    const stream = this.#out;
    return { bold: (text) => styleText('bold', text, { stream }), dim: (text) => styleText('dim', text, { stream }) };
  }

  /** styleText itself respects NO_COLOR, FORCE_COLOR and whether the stream is a terminal. */
  #say(stream: NodeJS.WriteStream, style: 'dim' | 'cyan' | 'yellow' | 'red' | 'bold' | 'green' | undefined, message: string): void {
    this.#clearLive();
    const clean = inertOnTerminal(this.#masker.clean(message));
    const columns = columnsOf(stream);
    const text = columns === undefined ? clean : wrapMessage(clean, Math.min(columns, MESSAGE_COLUMNS));
    stream.write(`${style === undefined ? text : styleText(style, text, { stream })}\n`);
  }

  #draw(stream: WriteStream, update: Progress): void {
    // Before the line is cut to fit: half a secret is not recognised any more.
    const visible = (text: string): string => inertOnTerminal(this.#masker.clean(text)).replaceAll('\n', ' ');
    const { phase, detail = '' } = update;
    const shown = { ...update, phase: visible(phase), detail: visible(detail) };
    const line = this.#progress.line(shown, (columnsOf(stream) ?? 80) - FREE_COLUMNS, performance.now());
    stream.write(`${this.#erased()}${line}`);
    this.#liveWidth = displayWidth(line);
    this.#liveLine = true;
  }

  #clearLive(): void {
    if (this.#asking) process.stderr.write('\n');
    this.#asking = false;
    if (!this.#liveLine) return;
    this.#liveLine = false;
    process.stderr.write(this.#erased());
  }

  /** Takes the live line away; where colours are not wanted, by blanks, so that no escape sequence is written at all. */
  #erased(): string {
    return isPlain() ? `\r${' '.repeat(this.#liveWidth)}\r` : '\r\u001B[2K';
  }
}

/** Width of a terminal; undefined for what is none, where no line is broken. */
function columnsOf(stream: NodeJS.WriteStream): number | undefined {
  return stream.isTTY && stream.columns >= NARROWEST_TERMINAL ? stream.columns : undefined;
}

function actor(): { actor?: string } {
  try {
    return { actor: userInfo().username };
  } catch {
    // A container's user may have no name.
    return {};
  }
}

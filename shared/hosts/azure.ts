// Azure Pipelines as a host: inputs, ##vso commands, task result and service connections by azure-pipelines-task-lib.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import internal from 'azure-pipelines-task-lib/internal.js';
import tl from 'azure-pipelines-task-lib/task.js';
import { UsageError } from '../step/errors.ts';
import type { Finish, Host, Progress, RunIdentity, ServiceConnection } from '../step/host.ts';
import { readServiceConnection, requestOidcToken, systemAccessToken } from './azure-connection.ts';
import { failureSummary } from './failure-summary.ts';
import { Lifecycle } from './lifecycle.ts';
import { inertOnAzure } from './log-lines.ts';
import { renderMarkdown, type TextStyle } from './markdown.ts';
import { Masker } from '../step/masking.ts';
import { ProgressText } from './progress.ts';

const PLAIN: TextStyle = { bold: (text) => text, dim: (text) => text };

export class AzureHost implements Host {
  readonly kind = 'azure' as const;
  readonly run: RunIdentity;
  readonly #masker = new Masker();
  readonly #lifecycle: Lifecycle;
  readonly #progress = new ProgressText();
  readonly #given: string[];
  #summary = '';
  #connection: ServiceConnection | undefined;

  /** @param inputNames the step's inputs (camelCase): the agent upper-cases names, so only these can be told apart. */
  constructor(inputNames: string[]) {
    this.run = runIdentity(process.env);
    this.#given = inputNames.filter((name) => secretlyRead(name) !== undefined);
    this.#lifecycle = new Lifecycle({
      tempRoot: agentTemp(),
      onCancel: (signal) => {
        this.warning(`${signal}: cancelling and cleaning up.`);
      },
      onCrash: (message) => {
        tl.setResult(tl.TaskResult.Failed, this.#masker.clean(message));
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
    return inputName;
  }

  /** @throws UsageError when the text is a macro that the agent could not fill in. */
  rawInput(inputName: string): string | undefined {
    const text = secretlyRead(inputName);
    const variable = text === undefined ? undefined : unfilledMacro(text);
    if (variable === undefined) return text;
    throw new UsageError(`${inputName} contains $(${variable}): this pipeline has no variable ${variable}.`, {
      fix: `Define ${variable} as a (secret) variable or link the variable group that has it. Pull requests from forks get no secrets.`,
    });
  }
  givenInputs(): string[] {
    return this.#given;
  }
  setOutput(name: string, value: string): void {
    tl.setVariable(name, this.#masker.clean(value), false, true);
  }
  /** The agent refuses a secret of several lines, so every line is registered by itself; our own lines are cleaned of the whole, too. */
  mask(secret: string): void {
    for (const part of this.#masker.add(secret)) if (!/[\r\n]/.test(part)) tl.setSecret(part);
  }

  debug(message: string): void {
    tl.debug(this.#masker.clean(message));
  }
  info(message: string): void {
    process.stdout.write(`${inertOnAzure(this.#masker.clean(message))}\n`);
  }
  notice(message: string): void {
    process.stdout.write(`##[section]${inertOnAzure(this.#masker.clean(message))}\n`);
  }
  warning(message: string): void {
    tl.warning(this.#masker.clean(message), tl.IssueSource.TaskInternal);
  }
  error(message: string): void {
    tl.error(this.#masker.clean(message), tl.IssueSource.TaskInternal);
  }
  async group<T>(title: string, work: () => Promise<T>): Promise<T> {
    process.stdout.write(`##[group]${inertOnAzure(this.#masker.clean(title).replaceAll('\n', ' '))}\n`);
    try {
      return await work();
    } finally {
      process.stdout.write('##[endgroup]\n');
    }
  }
  progress(update: Progress): void {
    const now = performance.now();
    if (this.#progress.update(update, now) || !this.#progress.plainLineDue(now)) return;
    this.info(this.#progress.line(update));
    if (update.total) tl.setProgress(Math.min(99, Math.floor((update.done / update.total) * 100)), this.#masker.clean(update.phase));
  }

  async summary(markdown: string): Promise<void> {
    this.#summary += `${this.#masker.clean(markdown)}\n`;
  }

  async oidcToken(audience: string): Promise<string> {
    const token = await requestOidcToken(audience, this.#connection, this.signal);
    this.mask(token);
    return token;
  }
  serviceConnection(name: string): ServiceConnection | undefined {
    const accessToken = systemAccessToken();
    if (accessToken !== undefined) this.mask(accessToken);
    const connection = readServiceConnection(name, accessToken);
    if (connection?.clientSecret !== undefined) this.mask(connection.clientSecret);
    this.#connection = connection;
    return connection;
  }
  async ask(): Promise<undefined> {
    return undefined;
  }

  async finish(finish: Finish): Promise<void> {
    this.setOutput('outcome', finish.outcome);
    const failure = failureSummary(finish, this.#summary);
    if (failure !== '') await this.summary(failure);
    this.#logSummary();
    this.#uploadSummary();
    const text = finish.error
      ? [finish.error.message, finish.error.fix, finish.error.stack].filter((part) => part !== undefined).join('\n')
      : '';
    const message = this.#masker.clean(text);
    if (finish.outcome === 'succeeded') tl.setResult(tl.TaskResult.Succeeded, '');
    else if (finish.outcome === 'partial') tl.setResult(tl.TaskResult.SucceededWithIssues, '');
    // The agent's own spelling has one l; task-lib's enum has two, which the agent does not know.
    else if (finish.outcome === 'cancelled') tl.command('task.complete', { result: 'Canceled' }, message);
    else tl.setResult(tl.TaskResult.Failed, message);
    // The result is what the command above says; another exit code would only add the agent's own line about it.
    process.exitCode = 0;
    this.#lifecycle.close();
  }

  /** In the log, too, folded: the page that shows summaries is one that few people know. */
  #logSummary(): void {
    if (this.#summary === '') return;
    const text = inertOnAzure(renderMarkdown(this.#summary, PLAIN));
    process.stdout.write(`##[group]Summary\n${text}\n##[endgroup]\n`);
  }

  /** The agent uploads the file after the task has ended, and removes its own temporary folder after the job. */
  #uploadSummary(): void {
    if (this.#summary === '') return;
    const file = join(agentTemp(), `lifeboat-${randomUUID()}.md`);
    try {
      writeFileSync(file, this.#summary, { mode: 0o600 });
      tl.uploadSummary(file);
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      this.warning(`The summary could not be written: ${cause.message}`);
    }
  }
}

/** The variable of a macro that the agent left as it is, as the whole text or within an address; other texts may well hold a `$(…)`. */
function unfilledMacro(text: string): string | undefined {
  return (/^\$\(([^()\s]+)\)$/.exec(text) ?? /^[a-z][a-z0-9+.-]*:\/\/\S*?\$\(([A-Za-z_][\w.]*)\)/i.exec(text))?.[1];
}

function agentTemp(): string {
  return process.env['AGENT_TEMPDIRECTORY'] ?? tmpdir();
}

/**
 * An input's text from task-lib's vault. `tl.getInput` would write the value into the debug log before we could mask it.
 * task-lib takes inputs out of the environment, so that no child process inherits them.
 */
function secretlyRead(inputName: string): string | undefined {
  const text = internal._vault.retrieveSecret(`INPUT_${internal._getVariableKey(inputName)}`);
  return text === undefined || text.trim() === '' ? undefined : text;
}

function runIdentity(env: NodeJS.ProcessEnv): RunIdentity {
  const { BUILD_BUILDID: id, SYSTEM_COLLECTIONURI: collection, SYSTEM_TEAMPROJECT: project } = env;
  const actor = env['BUILD_REQUESTEDFOR'];
  const workflow = env['BUILD_DEFINITIONNAME'];
  return {
    id: id ?? 'unknown',
    ...(collection && project && id
      ? { url: `${collection.replace(/\/?$/, '/')}${encodeURIComponent(project)}/_build/results?buildId=${id}` }
      : {}),
    ...(actor ? { actor } : {}),
    ...(workflow ? { workflow } : {}),
  };
}

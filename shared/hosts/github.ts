// GitHub Actions as a host: inputs, workflow commands, job summary and OIDC tokens by @actions/core.
import { tmpdir } from 'node:os';
import * as core from '@actions/core';
import { errorMessage, UserError } from '../step/errors.ts';
import type { Finish, Host, Progress, RunIdentity } from '../step/host.ts';
import { kebabCase } from '../step/input.ts';
import { failureSummary } from './failure-summary.ts';
import { Lifecycle } from './lifecycle.ts';
import { inertOnGithub } from './log-lines.ts';
import { Masker } from '../step/masking.ts';
import { ProgressText } from './progress.ts';

/** The runner drops a step's summary above 1 MiB (actions/runner FileCommandManager). */
const SUMMARY_LIMIT_BYTES = 1024 * 1024 - 1024;

export class GithubHost implements Host {
  readonly kind = 'github' as const;
  readonly run: RunIdentity;
  readonly #inputs: Map<string, string>;
  readonly #masker = new Masker();
  readonly #lifecycle: Lifecycle;
  readonly #progress = new ProgressText();
  #summaryBytes = 0;
  #shown = '';

  constructor() {
    this.#inputs = takeInputs();
    this.run = runIdentity(process.env);
    this.#lifecycle = new Lifecycle({
      tempRoot: process.env['RUNNER_TEMP'] ?? tmpdir(),
      onCancel: (signal) => {
        this.warning(`${signal}: cancelling and cleaning up.`);
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
    return kebabCase(inputName);
  }
  rawInput(inputName: string): string | undefined {
    return this.#inputs.get(kebabCase(inputName));
  }
  givenInputs(): string[] {
    return [...this.#inputs.keys()];
  }
  setOutput(name: string, value: string): void {
    core.setOutput(kebabCase(name), this.#masker.clean(value));
  }
  mask(secret: string): void {
    for (const part of this.#masker.add(secret)) core.setSecret(part);
  }

  debug(message: string): void {
    core.debug(this.#masker.clean(message));
  }
  info(message: string): void {
    core.info(inertOnGithub(this.#masker.clean(message)));
  }
  notice(message: string): void {
    core.notice(this.#masker.clean(message));
  }
  warning(message: string): void {
    core.warning(this.#masker.clean(message));
  }
  error(message: string): void {
    core.error(this.#masker.clean(message));
  }
  async group<T>(title: string, work: () => Promise<T>): Promise<T> {
    return core.group(this.#masker.clean(title).replaceAll('\n', ' '), work);
  }
  progress(update: Progress): void {
    const now = performance.now();
    if (!this.#progress.update(update, now) && this.#progress.plainLineDue(now)) this.info(this.#progress.line(update));
  }

  async summary(markdown: string): Promise<void> {
    const text = this.#masker.clean(markdown);
    this.#shown += `${text}\n`;
    this.#summaryBytes += Buffer.byteLength(text);
    if (this.#summaryBytes > SUMMARY_LIMIT_BYTES) {
      this.warning('The job summary would exceed 1 MiB, and GitHub would drop all of it: the rest is only in the log.');
      this.info(text);
      return;
    }
    if (process.env['GITHUB_STEP_SUMMARY'] === undefined) this.info(text);
    else await core.summary.addRaw(text).addEOL().write();
  }

  async oidcToken(audience: string): Promise<string> {
    if (!process.env['ACTIONS_ID_TOKEN_REQUEST_URL'] || !process.env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']) {
      throw new UserError('GitHub gives this job no OIDC token.', {
        fix: 'Add "permissions: { id-token: write }" to the job. Workflows started by a pull request from a fork never get one.',
      });
    }
    try {
      const token = await core.getIDToken(audience);
      this.mask(token);
      return token;
    } catch (cause) {
      throw new UserError(`GitHub did not answer the request for an OIDC token for ${audience}: ${lastLine(errorMessage(cause))}`, {
        fix: 'Run the job again. If it keeps failing, look at https://www.githubstatus.com.',
        cause,
      });
    }
  }
  serviceConnection(): undefined {
    return undefined;
  }
  async ask(): Promise<undefined> {
    return undefined;
  }

  async finish(finish: Finish): Promise<void> {
    this.setOutput('outcome', finish.outcome);
    if (finish.error) {
      const { message, fix, stack } = finish.error;
      this.error([message, fix, stack].filter((text) => text !== undefined).join('\n'));
      const failure = failureSummary(finish, this.#shown);
      if (failure !== '') await this.summary(failure);
    }
    // A step can only pass or fail here: partial passes, its doubts are warnings already.
    process.exitCode = finish.outcome === 'partial' ? 0 : finish.exitCode;
    this.#lifecycle.close();
  }
}

/** Takes the inputs out of the environment, so that no child process inherits a secret. An empty input is not given. */
function takeInputs(): Map<string, string> {
  const inputs = new Map<string, string>();
  for (const variable of Object.keys(process.env)) {
    if (!variable.startsWith('INPUT_')) continue;
    const name = variable.slice('INPUT_'.length);
    const text = core.getInput(name);
    if (text !== '') inputs.set(name.toLowerCase(), text);
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the environment is a dictionary
    delete process.env[variable];
  }
  return inputs;
}

function runIdentity(env: NodeJS.ProcessEnv): RunIdentity {
  const { GITHUB_RUN_ID: id, GITHUB_RUN_ATTEMPT: attempt, GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = env;
  const actor = env['GITHUB_TRIGGERING_ACTOR'] ?? env['GITHUB_ACTOR'];
  const workflow = env['GITHUB_WORKFLOW'];
  return {
    id: id === undefined ? 'unknown' : `${id}${attempt === undefined ? '' : `.${attempt}`}`,
    ...(server && repository && id ? { url: `${server}/${repository}/actions/runs/${id}${attempt ? `/attempts/${attempt}` : ''}` } : {}),
    ...(actor ? { actor } : {}),
    ...(workflow ? { workflow } : {}),
  };
}

function lastLine(text: string): string {
  return text.trim().replace(/^.*\n/s, '').trim();
}

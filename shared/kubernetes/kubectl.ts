// Runs kubectl against one namespace: objects as JSON, programs inside a container as byte streams. No shell, no secret on a command line.
import { UserError } from '../step/errors.ts';
import { findOnPath } from '../tools/find-tool.ts';
import { inTime, runStreaming, type StreamingOptions, type StreamingProcess } from '../tools/process.ts';
import type { NamespaceAccess } from './access.ts';
import { kubectlFailure } from './kubectl-errors.ts';

/** A program inside a container. */
export interface PodCommand {
  pod: string;
  container: string;
  /** The program and its arguments, passed on as they are. */
  command: readonly string[];
  /** Give the program a standard input. Without it, it reads an end at once. */
  stdin?: boolean;
}

/** What a short program printed. */
export interface Printed {
  code: number | null;
  stdout: string;
  /** The last lines of standard error. */
  lines: string[];
}

/** How long a question to the API server may take. */
const REQUEST_MS = 30_000;
/** More than this is no answer to a short question: it is cut. */
const MOST_PRINTED = 64 * 2 ** 20;

export class Kubectl {
  readonly access: NamespaceAccess;
  readonly #path: string;

  constructor(path: string, access: NamespaceAccess) {
    this.#path = path;
    this.access = access;
  }

  /** @throws UserError when there is no kubectl */
  static async find(access: NamespaceAccess, env: NodeJS.ProcessEnv = process.env): Promise<Kubectl> {
    const path = await findOnPath('kubectl', env);
    if (path !== undefined) return new Kubectl(path, access);
    throw new UserError('kubectl is not on PATH.', {
      fix: 'Install it (azure/setup-kubectl on GitHub, KubectlInstaller@0 on Azure), or reach the database without it, by its connection string.',
    });
  }

  /**
   * What `kubectl get … -o json` answers.
   * @param what told in errors, such as `the pods of namespace db`
   * @throws UserError in plain words when the cluster does not answer or says no
   */
  async get(args: readonly string[], what: string, signal?: AbortSignal): Promise<unknown> {
    const { code, stdout, lines } = await this.#printed(
      ['get', ...args, '--output=json', `--request-timeout=${REQUEST_MS / 1000}s`],
      signal,
    );
    if (code !== 0) throw kubectlFailure(lines, `Reading ${what} failed`, this.access);
    try {
      return JSON.parse(stdout);
    } catch (cause) {
      throw new UserError(`kubectl answered with something that is not JSON when asked for ${what}.`, { cause });
    }
  }

  /** Starts a program in a container as a byte stream. Ending it closes the connection, which ends the program at its next byte. */
  exec({ pod, container, command, stdin = false }: PodCommand, options: StreamingOptions = {}): StreamingProcess {
    const args = ['exec', pod, `--container=${container}`, ...(stdin ? ['--stdin'] : []), '--', ...command];
    const child = runStreaming(this.#path, [...this.#where(), ...args], options);
    if (!stdin) child.stdin.end();
    return child;
  }

  /**
   * Runs a short program in a container to its end. A program that fails is no error here: its code and words are in the answer.
   * @param input what it reads on its standard input
   */
  async run(command: PodCommand, signal?: AbortSignal, input?: string): Promise<Printed> {
    const child = this.exec({ ...command, stdin: input !== undefined }, signal ? { signal } : {});
    if (input !== undefined) child.stdin.end(input);
    return collect(child, `${command.command[0] ?? ''} in pod ${command.pod}`);
  }

  /** True when the cluster says that this login may do this. */
  async may(verb: string, resource: string, signal?: AbortSignal): Promise<boolean> {
    const { code, stdout, lines } = await this.#printed(['auth', 'can-i', verb, resource], signal);
    const answer = stdout.trim();
    if (code !== 0 && answer !== 'no') throw kubectlFailure(lines, 'Asking for permissions failed', this.access);
    return answer === 'yes';
  }

  async #printed(args: readonly string[], signal: AbortSignal | undefined): Promise<Printed> {
    const child = runStreaming(this.#path, [...this.#where(), ...args], signal ? { signal } : {});
    child.stdin.end();
    return collect(child, `kubectl ${args[0] ?? ''}`);
  }

  #where(): string[] {
    const { context, namespace } = this.access;
    return [...(context === undefined ? [] : [`--context=${context}`]), `--namespace=${namespace}`];
  }
}

async function collect(child: StreamingProcess, what: string): Promise<Printed> {
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length < MOST_PRINTED) stdout += text;
  });
  try {
    const { code, lastLines } = await inTime(child.ended, 2 * REQUEST_MS, what);
    return { code, stdout, lines: lastLines };
  } finally {
    await child.stop();
  }
}

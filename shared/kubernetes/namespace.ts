// One namespace of a cluster: its pods, and short programs that are run in them to their end.
import { UserError } from '../step/errors.ts';
import { inTime, type StreamingOptions, type StreamingProcess } from '../tools/process.ts';
import type { NamespaceAccess } from './access.ts';
import { openCluster, type Cluster } from './cluster.ts';
import { runInPod, type PodCommand } from './exec.ts';
import type { ApiResource } from './resources.ts';

export const PODS: ApiResource = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true, verbs: ['get', 'list'] };

/** What a short program printed. */
export interface Printed {
  code: number | null;
  stdout: string;
  /** The last lines of standard error. */
  lines: string[];
}

/** How long a short program may be silent. */
const SHORT_MS = 60_000;
/** More than this is no answer to a short question: it is cut. */
const MOST_PRINTED = 64 * 2 ** 20;

export class ClusterNamespace {
  readonly cluster: Cluster;
  readonly name: string;

  constructor(cluster: Cluster, name: string) {
    this.cluster = cluster;
    this.name = name;
  }

  /** @throws UsageError, UserError as `openCluster` */
  static async open({ namespace, ...access }: NamespaceAccess, signal?: AbortSignal): Promise<ClusterNamespace> {
    return new ClusterNamespace(await openCluster(access, { signal }), namespace);
  }

  /** Starts a program in a container as a byte stream. */
  exec(command: Omit<PodCommand, 'namespace'>, options?: StreamingOptions): StreamingProcess {
    return runInPod(this.cluster, { ...command, namespace: this.name }, options);
  }

  /**
   * Runs a short program in a container to its end. A program that fails is no error here: its code and words are in the answer.
   * @param input what it reads on its standard input
   * @throws as `ended` of `runInPod`
   */
  async run(command: Omit<PodCommand, 'namespace'>, signal?: AbortSignal, input?: string): Promise<Printed> {
    const child = this.exec({ ...command, stdin: input === undefined ? undefined : 'ends' }, signal ? { signal } : {});
    if (input !== undefined) child.stdin.end(input);
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < MOST_PRINTED) stdout += text;
    });
    // `ended` tells it.
    child.stdout.on('error', () => undefined);
    try {
      const { code, lastLines } = await inTime(child.ended, SHORT_MS, `${command.command[0] ?? ''} in pod ${command.pod}`);
      return { code, stdout, lines: lastLines };
    } finally {
      await child.stop();
    }
  }
}

/** The failure of a short program: its last words after ours. */
export function programFailure({ lines, code }: Printed, what: string): UserError {
  const [words = `it printed nothing, and ended with ${code ?? '?'}`] = lines.slice(-1);
  return new UserError(`${what}: ${words.replace(/[.?]$/, '')}.`);
}

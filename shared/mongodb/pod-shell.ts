// What only mongosh can do in a pod, where its image has it: ask a member what it is, and drop collections.
import { UserError } from '../step/errors.ts';
import type { ClusterNamespace } from '../kubernetes/namespace.ts';
import type { PodContainer } from '../kubernetes/pods.ts';
import type { Secret } from '../step/input.ts';
import { withoutLogin } from './connection-string.ts';
import { NAMESPACE_NOT_FOUND, parseNamespace } from './namespaces.ts';

/** A container with a MongoDB, and how it is reached from inside the pod. */
export interface PodShell {
  namespace: ClusterNamespace;
  container: PodContainer;
  uri: Secret;
}

/** The server's `hello`, which needs no login; undefined when there is no mongosh or no answer. */
export async function helloOf(shell: PodShell, signal: AbortSignal | undefined): Promise<Record<string, unknown> | undefined> {
  const stdout = await run(shell, ['--eval', 'JSON.stringify(db.hello())', withoutLogin(shell.uri)], signal);
  try {
    return stdout === undefined ? undefined : (JSON.parse(stdout) as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

/**
 * Drops collections; one that is not there is fine.
 * @param names `database.collection`
 * @returns true when mongosh said that all are gone; false when there is no mongosh, or it could not
 */
export async function dropByShell(shell: PodShell, names: readonly string[], signal: AbortSignal | undefined): Promise<boolean> {
  const collections = names.map(parseNamespace);
  // One line, so that it stops at the first error; it exits 0 then, too, but does not get as far as its last words. They are put together
  // there, lest they are found in an echo of the script. On standard input, the password is on no command line.
  const script =
    `const server = new Mongo(${JSON.stringify(shell.uri.reveal())}); ` +
    `for (const { db, collection } of ${JSON.stringify(collections)}) { ` +
    `try { server.getDB(db).getCollection(collection).drop() } catch (e) { if (e.code !== ${NAMESPACE_NOT_FOUND}) throw e } } ` +
    `print(${JSON.stringify(DONE)}.join(' '))\n`;
  const stdout = await run(shell, ['--nodb'], signal, script);
  return stdout?.includes(DONE.join(' ')) ?? false;
}

const DONE = ['lifeboat', 'dropped', 'all'];

/** What mongosh prints; undefined when it is not there or fails. */
async function run(
  { namespace, container }: PodShell,
  args: readonly string[],
  signal: AbortSignal | undefined,
  input?: string,
): Promise<string | undefined> {
  try {
    const { code, stdout } = await namespace.run({ ...container, command: ['mongosh', '--quiet', '--norc', ...args] }, signal, input);
    return code === 0 ? stdout : undefined;
  } catch (thrown) {
    signal?.throwIfAborted();
    if (thrown instanceof UserError) return undefined;
    throw thrown;
  }
}

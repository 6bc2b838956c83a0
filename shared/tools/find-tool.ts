// Finds an outside program on PATH and asks it for its version.
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runStreaming } from './process.ts';

export interface Tool {
  name: string;
  /** Full path of the program. */
  path: string;
  /** Such as `100.9.4`; undefined when it prints none. */
  version: string | undefined;
}

/** The full path of a program on PATH; undefined when there is none. On Windows the endings of PATHEXT are tried. */
export async function findOnPath(name: string, env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  const endings = process.platform === 'win32' ? (env['PATHEXT'] ?? '.EXE').split(';') : [''];
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    for (const ending of endings) {
      const path = join(folder, name + ending);
      if (await isExecutable(path)) return path;
    }
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** A program on PATH with its version; undefined when it is not there or does not start. */
export async function findTool(name: string, options: { env?: NodeJS.ProcessEnv; signal?: AbortSignal } = {}): Promise<Tool | undefined> {
  const path = await findOnPath(name, options.env);
  if (path === undefined) return undefined;
  const printed = await printedBy(path, ['--version'], options.signal);
  return printed === undefined ? undefined : { name, path, version: /\bv?(\d+\.\d+\.\d+[\w.-]*)/.exec(printed)?.[1] };
}

/** Standard output (first 64 KiB) of a program that ended well; undefined otherwise. */
async function printedBy(path: string, args: string[], signal: AbortSignal | undefined): Promise<string | undefined> {
  const timeout = AbortSignal.timeout(60_000);
  const child = runStreaming(path, args, { signal: signal ? AbortSignal.any([signal, timeout]) : timeout });
  child.stdin.end();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    if (text.length < 65_536) text += part;
  });
  try {
    return (await child.ended).code === 0 ? text : undefined;
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

// Runs many command lines through the built `dist/cli.mjs` in one process: starting one for each would take most of the time.
// `node built-worker.ts <dist>`; the parent sends `{ args, cwd }` and gets `{ code, stdout, stderr }` back.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What the chunk behind `dist/cli.mjs` exports. */
interface BuiltCli {
  runCli: (args: string[]) => Promise<void>;
}

/** The chunk that the entry itself loads: the same built code, without the end of the process. */
async function loadCli(dist: string): Promise<BuiltCli> {
  const chunk = /runCli\}\s*=\s*await import\("(\.\/chunks\/[^"]+)"\)/.exec(readFileSync(resolve(dist, 'cli.mjs'), 'utf8'))?.[1];
  if (chunk === undefined) throw new Error(`${dist}/cli.mjs loads no chunk that this worker knows`);
  return (await import(pathToFileURL(resolve(dist, chunk)).href)) as BuiltCli;
}

const said = { stdout: '', stderr: '' };

/** Keeps what is printed, and tells that it was taken, as a pipe does. */
function collect(name: 'stdout' | 'stderr'): void {
  process[name].write = (chunk: string | Uint8Array, ...rest: unknown[]) => {
    said[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    const done = rest.find((argument) => typeof argument === 'function') as (() => void) | undefined;
    if (done) process.nextTick(done);
    return true;
  };
}

const { runCli } = await loadCli(process.argv[2] ?? 'dist');
collect('stdout');
collect('stderr');
process.on('message', (message: { args: string[]; cwd: string }) => {
  process.chdir(message.cwd);
  process.exitCode = 0;
  said.stdout = said.stderr = '';
  runCli(message.args).then(
    () => process.send?.({ code: Number(process.exitCode), ...said }),
    (thrown: unknown) =>
      process.send?.({ code: 1, ...said, stderr: `${said.stderr}\n${thrown instanceof Error ? (thrown.stack ?? '') : String(thrown)}` }),
  );
});
process.send?.('ready');

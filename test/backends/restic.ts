// restic: what the benchmarks are measured against. The one on PATH when it is new enough, else built once from the Go module beside this file.
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Tool } from './pipeline-tools.ts';
import { cachedBuild, contentKey, findProgram, runGo, runProgram } from './support.ts';

const MODULE = fileURLToPath(new URL('restic/', import.meta.url));
const PACKAGE = 'github.com/restic/restic/cmd/restic';
const VERSION = /^restic 0\.19\./;

/** restic 0.19, or why this machine cannot have it. The build takes about two minutes, once. */
export async function restic(): Promise<Tool> {
  const found = findProgram('restic');
  if (found !== undefined && VERSION.test(await runProgram(found, ['version']))) return { program: found };
  const go = findProgram('go');
  if (go === undefined) return { missing: 'needs restic 0.19 or Go to build it' };
  const key = contentKey(readFileSync(join(MODULE, 'go.mod')), readFileSync(join(MODULE, 'go.sum')));
  try {
    return { program: join(await cachedBuild('restic', key, (folder) => build(go, folder)), 'restic') };
  } catch (thrown) {
    return {
      missing: `needs restic 0.19, which could not be built: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`,
    };
  }
}

// restic cannot be installed by its path alone (`go install` fails on its build tags), but builds inside a module that requires it.
async function build(go: string, folder: string): Promise<void> {
  const source = join(folder, 'source');
  mkdirSync(source);
  for (const file of ['go.mod', 'go.sum', 'program.go']) cpSync(join(MODULE, file), join(source, file));
  const env = { CGO_ENABLED: '0', GOFLAGS: '-p=2 -buildvcs=false -mod=readonly', GOWORK: 'off' };
  await runGo(['build', '-trimpath', '-ldflags', '-s -w', '-o', '../restic.new', PACKAGE], { go, cwd: source, env });
  renameSync(join(folder, 'restic.new'), join(folder, 'restic'));
  rmSync(source, { recursive: true, force: true });
}

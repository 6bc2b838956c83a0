// Programs that run or judge GitHub workflows: act, actionlint (built with Go) and zizmor (from PyPI), each cached outside the repository.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cachedBuild, contentKey, findProgram, runGo, runProgram } from './support.ts';

const ACT = 'github.com/nektos/act@v0.2.89';
const ACTIONLINT = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12';
const ZIZMOR = 'zizmor==1.32.0';

/** The path of a program, or why this machine cannot have it. */
export type Tool = { program: string } | { missing: string };

/** Runs workflows on this machine, without Docker. The build takes about a minute, once. */
export function act(): Promise<Tool> {
  return goProgram('act', ACT);
}

/** Checks workflows: syntax, expressions, types. */
export function actionlint(): Promise<Tool> {
  return goProgram('actionlint', ACTIONLINT);
}

/** Checks workflows for what an attacker could use. */
export async function zizmor(): Promise<Tool> {
  const python = findProgram('python3');
  if (python === undefined) return { missing: 'needs python3 with pip for zizmor' };
  try {
    const folder = await cachedBuild('zizmor', contentKey(ZIZMOR), async (into) => {
      await runProgram(python, ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--target', into, ZIZMOR]);
    });
    return { program: join(folder, 'bin', 'zizmor') };
  } catch (thrown) {
    return {
      missing: `needs zizmor, which pip did not install: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`,
    };
  }
}

async function goProgram(name: string, module: string): Promise<Tool> {
  const found = findProgram(name);
  if (found !== undefined) return { program: found };
  const go = findProgram('go');
  if (go === undefined) return { missing: `needs ${name} or Go to build it` };
  const folder = await cachedBuild(name, contentKey(module), async (into) => {
    await runGo(['install', module], { go, env: { ...process.env, GOBIN: join(into, 'bin'), GOFLAGS: '-modcacherw' } });
  });
  const program = join(folder, 'bin', name);
  return existsSync(program) ? { program } : { missing: `${module} was built, but ${name} is not there` };
}

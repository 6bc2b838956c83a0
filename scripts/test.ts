// `./scripts/test`: static checks and all jest projects, with one closing line that counts everything.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROJECTS = ['unit', 'integration', 'acceptance'];
const CHECKS: [name: string, args: string[]][] = [
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '.']],
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '.']],
  ['generated files', ['scripts/generate.ts', '--check']],
];

const [first, ...rest] = process.argv.slice(2);
const only = first !== undefined && [...PROJECTS, 'checks'].includes(first) ? first : undefined;
const jestArgs = only === undefined ? process.argv.slice(2) : rest;
const totals = { passed: 0, failed: 0, skipped: 0 };

if (only === undefined || only === 'checks') {
  for (const [name, args] of CHECKS) {
    const started = Date.now();
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const ok = run.status === 0;
    totals[ok ? 'passed' : 'failed'] += 1;
    console.log(`${ok ? 'ok    ' : 'FAILED'} check: ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    if (!ok) console.log(run.stdout + run.stderr);
  }
}
if (only !== 'checks') {
  // Servers are built once, before tests with time-outs of their own need them.
  for (const project of only === undefined ? PROJECTS : [only]) runJest(project);
}

console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
// A run that tested nothing has not passed.
process.exitCode = totals.failed > 0 || totals.passed === 0 ? 1 : 0;

function runJest(project: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-jest-'));
  const resultFile = join(folder, 'result.json');
  try {
    const run = spawnSync(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        '--selectProjects',
        project,
        '--json',
        `--outputFile=${resultFile}`,
        // The SDKs keep idle connections for a while; the run is over when the tests are.
        '--forceExit',
        ...jestArgs,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    const result = JSON.parse(readFileSync(resultFile, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
      numPendingTests: number;
      numTodoTests: number;
      numRuntimeErrorTestSuites: number;
    };
    totals.passed += result.numPassedTests;
    totals.failed += result.numFailedTests + result.numRuntimeErrorTestSuites;
    totals.skipped += result.numPendingTests + result.numTodoTests;
    if (run.status !== 0 && result.numFailedTests + result.numRuntimeErrorTestSuites === 0) totals.failed += 1;
  } catch (thrown) {
    console.log(`jest ended without a result for ${project}: ${String(thrown)}`);
    totals.failed += 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// `./scripts/test`: static checks and all jest projects, with one closing line that counts everything.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { closingLines, failedFiles, tally, type JestOutput, type Tally } from './testing/outcome.ts';

const PROJECTS = ['unit', 'integration', 'acceptance'];
/** Their tests depend on real servers and on a machine that may be busy elsewhere: a file that fails there is run once more. */
const SECOND_CHANCE = new Set(['integration', 'acceptance']);
const CHECKS: [name: string, args: string[]][] = [
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '.']],
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '.']],
  ['generated files', ['scripts/generate.ts', '--check']],
];

const [first, ...rest] = process.argv.slice(2);
const only = first !== undefined && [...PROJECTS, 'checks'].includes(first) ? first : undefined;
const jestArgs = only === undefined ? process.argv.slice(2) : rest;
const projects = only === 'checks' ? [] : only === undefined ? PROJECTS : [only];
/** Every test is wanted, not some that a person has chosen. */
const all = jestArgs.length === 0;
const total: Tally = { passed: 0, failed: 0, skipped: 0, secondTry: [] };

if (only === undefined || only === 'checks') runChecks();
const checked = total.passed + total.failed;
if (all && projects.some((project) => SECOND_CHANCE.has(project))) {
  spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'test/backends/prepare.ts'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
for (const project of projects) runProject(project);
if (projects.length > 0 && total.passed + total.failed === checked) {
  console.log('No test was run.');
  total.failed += 1;
}

console.log(`\n${closingLines(total).join('\n')}`);
process.exitCode = total.failed > 0 ? 1 : 0;

function runChecks(): void {
  for (const [name, args] of CHECKS) {
    const started = Date.now();
    const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
    const ok = run.status === 0;
    total[ok ? 'passed' : 'failed'] += 1;
    console.log(`${ok ? 'ok    ' : 'FAILED'} check: ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    if (!ok) console.log(run.stdout + run.stderr);
  }
}

function runProject(project: string): void {
  // What a person has chosen may lie in another project; a project without any tests is broken.
  const run = runJest(project, all ? [] : ['--passWithNoTests', ...jestArgs]);
  if (!run) return;
  const failed = failedFiles(run);
  if (!all || !SECOND_CHANCE.has(project) || failed.length === 0) {
    count(tally(run));
    return;
  }
  console.log(`Once more, alone: ${failed.map((file) => relative('', file)).join(' ')}`);
  count(tally(run, runJest(project, ['--runInBand', '--runTestsByPath', ...failed])));
}

function count({ passed, failed, skipped, secondTry }: Tally): void {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  total.secondTry.push(...secondTry);
}

/**
 * Runs jest to its end, with a folder of its own for temporary files: servers and killed processes leave theirs. Without a result, or where
 * jest complains although nothing in it failed, that counts as a failure.
 */
function runJest(project: string, args: string[]): JestOutput | undefined {
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
        ...args,
      ],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, TMPDIR: folder } },
    );
    const output = JSON.parse(readFileSync(resultFile, 'utf8')) as JestOutput;
    if (run.status !== 0 && failedFiles(output).length === 0) {
      console.log(`jest ended with ${String(run.status ?? run.signal)} for ${project}, although no test failed`);
      total.failed += 1;
    }
    return output;
  } catch (thrown) {
    console.log(`jest ended without a result for ${project}: ${String(thrown)}`);
    total.failed += 1;
    return undefined;
  } finally {
    discard(folder);
  }
}

function discard(folder: string): void {
  try {
    // A server that is just ending may still write.
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  } catch (thrown) {
    console.log(`Temporary files stay: ${String(thrown)}`);
  }
}

// `./scripts/test`: static checks and all jest projects, with one closing line that counts everything.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT_CODES } from '../../shared/step/errors.ts';
import { parseScript, scriptCommand } from '../../scripts/command.ts';
import { unknownJestOption } from './jest-options.ts';
import { withoutNoise } from './jest-lines.ts';
import { closingLines, failedFiles, silentFiles, tally, type JestOutput, type Tally } from './outcome.ts';
import { filesWithReference, HIDE_REFERENCE } from './reference.ts';

const PROJECTS = ['unit', 'integration', 'acceptance'];
/** Their tests depend on real servers and on a machine that may be busy elsewhere: a file that fails there is run once more. */
const SECOND_CHANCE = new Set(['integration', 'acceptance']);
const CHECKS: [name: string, args: string[]][] = [
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '.']],
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '.']],
  ['generated files', ['scripts/generate.ts', '--check']],
];

const command = scriptCommand('test', 'Runs every check and every test, or what is named. The last line counts all of it.', [
  ['./scripts/test', 'everything: types, lint, format, generated files, then the tests'],
  ['./scripts/test unit test/backup', 'the unit tests of one folder'],
  ['./scripts/test acceptance -t "Node 20"', 'tests by name: options are those of jest'],
  ['./scripts/test checks', 'no tests'],
])
  .argument(`[${[...PROJECTS, 'checks'].join('|')}]`, 'the kind of tests; all when absent')
  .argument('[paths and jest options...]', 'which of them: parts of paths, and what jest takes, such as -t or --bail')
  .allowUnknownOption()
  .passThroughOptions();
const given = parseScript(command).args;
const [first, ...rest] = given;
const only = first !== undefined && [...PROJECTS, 'checks'].includes(first) ? first : undefined;
const jestArgs = only === undefined ? given : rest;
const unknown = unknownJestOption(jestArgs);
if (unknown !== undefined) {
  process.stderr.write(
    `error: unknown option '${unknown}'\nSee ./scripts/test --help, and for the options of jest https://jestjs.io/docs/cli.\n`,
  );
  process.exit(EXIT_CODES.usage);
}
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
for (const project of projects) await runProject(project);
if (all && /^(?:1|true)$/i.test(process.env['CI'] ?? '')) for (const project of projects) await runAsStranger(project);
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

async function runProject(project: string): Promise<void> {
  // What a person has chosen may lie in another project; a project without any tests is broken.
  const run = await runJest(project, all ? [] : ['--passWithNoTests', ...jestArgs]);
  if (!run) return;
  const failed = failedFiles(run);
  if (!all || !SECOND_CHANCE.has(project) || failed.length === 0) {
    count(tally(run));
    return;
  }
  console.log(`Once more, alone: ${failed.map((file) => relative('', file)).join(' ')}`);
  count(tally(run, await runJest(project, ['--runInBand', '--runTestsByPath', ...failed])));
}

/** The files that read ../shared, as in a clone that has nothing beside it. One check: what passed there has been counted before. */
async function runAsStranger(project: string): Promise<void> {
  const files = filesWithReference(project);
  if (files.length === 0) return;
  console.log(`Once more without ../shared: ${files.join(' ')}`);
  const run = await runJest(project, ['--runTestsByPath', ...files], { [HIDE_REFERENCE]: '1' });
  if (!run) return;
  const { passed, failed, skipped } = tally(run);
  const silent = silentFiles(run);
  for (const file of silent) console.log(`No test of ${file} was run, and not for want of ../shared.`);
  const ok = failed === 0 && run.testResults.length === files.length && silent.length === 0;
  total[ok ? 'passed' : 'failed'] += 1;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${project} tests without ../shared: ${passed} good, ${failed} not, ${skipped} left out`);
}

function count({ passed, failed, skipped, secondTry }: Tally): void {
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  total.secondTry.push(...secondTry);
}

/** Unit tests wait for nothing: every core gets a worker, where jest would leave one free. Not where the call says how many. */
function workersFor(project: string, args: readonly string[]): string[] {
  const said = args.some((arg) => /^(?:-w|-i|--maxWorkers|--runInBand)(?:=|$)/.test(arg));
  return project === 'unit' && !said ? ['--maxWorkers=100%'] : [];
}

/**
 * Runs jest to its end, with a folder of its own for temporary files: servers and killed processes leave theirs. Without a result, or where
 * jest complains although nothing in it failed, that counts as a failure.
 */
async function runJest(project: string, args: string[], env: Record<string, string> = {}): Promise<JestOutput | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-jest-'));
  const resultFile = join(folder, 'result.json');
  try {
    const child = spawn(
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
        ...(process.stderr.isTTY && process.env['NO_COLOR'] === undefined ? ['--colors'] : []),
        ...workersFor(project, args),
        ...args,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env, TMPDIR: folder } },
    );
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    // A server that outlives jest may hold its output: the end of the process is the end of the run.
    await Promise.race([withoutNoise(child.stderr, (line) => process.stderr.write(`${line}\n`)), ended.then(() => delay(2000))]);
    const [status, signal] = await ended;
    const output = JSON.parse(readFileSync(resultFile, 'utf8')) as JestOutput;
    if (status !== 0 && failedFiles(output).length === 0) {
      console.log(`jest ended with ${String(status ?? signal)} for ${project}, although no test failed`);
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

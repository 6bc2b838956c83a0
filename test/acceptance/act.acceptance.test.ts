import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { act } from '../backends/pipeline-tools.ts';
import { runProgram } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { NODE_24 } from './host-process.ts';

/** Uses the built actions as a repository would: by path, outputs handed on, a failure handled. */
const WORKFLOW = `
name: Try the actions
on: workflow_dispatch
permissions: {}
jobs:
  list:
    runs-on: ubuntu-latest
    timeout-minutes: 5
    outputs:
      count: \${{ steps.list.outputs.count }}
    steps:
      - uses: actions/checkout@v4
      - run: node --version && mkdir -p "$RUNNER_TEMP/store"
      - id: list
        uses: ./actions/list-backups
        with:
          store: \${{ runner.temp }}/store
      - id: wrong
        uses: ./actions/mongodb-backup
        continue-on-error: true
        with:
          mongodb-uri: mongodb://backup:hunter2-hunter2@127.0.0.1:1
          store: \${{ runner.temp }}/store
          timestamp: yesterday
      - id: root
        uses: ./
        with:
          step: list-backups
          store: \${{ runner.temp }}/store
          days: 7
      - run: echo "list=$LIST count=$COUNT wrong=$WRONG/$OUTCOME root=$ROOT"
        env:
          LIST: \${{ steps.list.outputs.outcome }}
          COUNT: \${{ steps.list.outputs.count }}
          WRONG: \${{ steps.wrong.outcome }}
          OUTCOME: \${{ steps.wrong.outputs.outcome }}
          ROOT: \${{ steps.root.outputs.outcome }}
  after:
    needs: list
    runs-on: ubuntu-latest
    steps:
      - run: echo "handed on $COUNT"
        env:
          COUNT: \${{ needs.list.outputs.count }}
`;

let repository: string;
// Built here, where no test's time limit counts.
const tool = await act();
const program = 'program' in tool ? tool.program : '';

describeIf(program !== '', 'missing' in tool ? tool.missing : '')('a real workflow in act', () => {
  beforeAll(async () => {
    repository = mkdtempSync(join(tmpdir(), 'lifeboat-act-'));
    for (const part of ['actions', 'action.yml', 'dist']) {
      cpSync(part, join(repository, part), { recursive: true, filter: (source) => !source.includes('extension') });
    }
    mkdirSync(join(repository, '.github', 'workflows'), { recursive: true });
    writeFileSync(join(repository, '.github', 'workflows', 'try.yml'), WORKFLOW);
    const git = (...args: string[]) =>
      runProgram('git', ['-c', 'user.name=Test', '-c', 'user.email=test@example.org', ...args], { cwd: repository });
    await git('init', '--quiet', '--initial-branch=main');
    await git('add', '--force', '.');
    await git('commit', '--quiet', '--message', 'try');
  }, 600_000);

  afterAll(() => {
    rmSync(repository, { recursive: true, force: true });
  });

  test('runs the built actions: outputs are handed on, a wrong input fails its step, the secret is masked', async () => {
    const { code, log } = await runAct();
    expect(log).toContain('v24.');
    expect(log).toMatch(/list=succeeded count=0 wrong=failure\/failed root=succeeded/);
    expect(log).toContain('handed on 0');
    // The root action does not declare it, and it counts.
    expect(log).toMatch(/they are used: days\./);
    expect(log).toContain('timestamp is "yesterday": expected a timestamp in UTC');
    const shown = log.split('\n').filter((line) => line.includes('hunter2') && !line.includes('::add-mask::'));
    expect(shown).toEqual([]);
    expect(code).toBe(0);
  });
});

function runAct(): Promise<{ code: number | null; log: string }> {
  const args = [
    'workflow_dispatch',
    '-P',
    'ubuntu-latest=-self-hosted',
    '--cache-server-addr',
    '127.0.0.1',
    '--artifact-server-addr',
    '127.0.0.1',
  ];
  const child = spawn(program, args, {
    cwd: repository,
    env: {
      PATH: `${dirname(NODE_24)}${delimiter}${process.env['PATH'] ?? ''}`,
      HOME: repository,
      XDG_CONFIG_HOME: join(repository, '.config'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, log });
    });
  });
}

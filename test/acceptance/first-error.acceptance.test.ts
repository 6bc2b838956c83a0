import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { steps } from '../../shared/steps/index.ts';
import { NODE_20, NODE_24, startOnAzure, startOnGithub, startOnTerminal } from './host-process.ts';

const names = steps.map((step) => step.name);
/** What a step asks for first, where it is not the store. */
const FIRST: Record<string, string> = {
  notify: 'outcome',
  'apply-retention': 'component',
  'hold-backup': 'reason',
  'release-hold': 'timestamp',
};
/** Steps that do not begin with a missing input: `backup-all` wants a dr.yml, `doctor` anything to check. */
const OTHERWISE: Record<string, { exitCode: number; says: RegExp }> = {
  'backup-all': { exitCode: 2, says: /^There is no dr\.yml here, and only it can say what "all" is/ },
  doctor: { exitCode: 2, says: /^There is no dr\.yml here, and no store, vault, database or cluster is given: there is nothing to check/ },
};
const URI = 'mongodb://backup:hunter2-hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100';

let agent: string;
beforeAll(() => {
  // The agent's own layout: Node 24 lies beside the Node 20 that runs the task.
  agent = mkdtempSync(join(tmpdir(), 'lifeboat-agent-'));
  const node = join(agent, 'externals', 'node24', 'bin', 'node');
  mkdirSync(dirname(node), { recursive: true });
  symlinkSync(NODE_24, node);
});
afterAll(() => {
  rmSync(agent, { recursive: true, force: true });
});

describe.each(names)('%s without inputs', (name) => {
  const { exitCode: code, says: missing } = OTHERWISE[name] ?? {
    exitCode: 2,
    says: new RegExp(`(^|- )(There is no dr\\.yml here, and )?(--)?${FIRST[name] ?? 'store'}( or \\S+)? is missing[.:]`, 'm'),
  };

  test('GitHub: names inputs in kebab-case and fails', async () => {
    const { exitCode, errors, outcome } = await startOnGithub(`dist/github/${name}.mjs`).result;
    expect(exitCode).toBe(code);
    expect(outcome).toBe('failed');
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(missing);
    expect(errors[0]).not.toMatch(/mongodbUri/);
  });

  test('Azure on Node 24: names inputs in camelCase and fails the task', async () => {
    const { exitCode, errors, taskResult } = await startOnAzure(`dist/azure/${name}.mjs`).result;
    expect([exitCode, taskResult]).toEqual([0, 'Failed']);
    expect(errors[0]).toMatch(missing);
    expect(errors[0]).not.toMatch(/mongodb-uri/);
  });

  test('Azure on Node 20: runs itself on the Node 24 of the agent, with the same result', async () => {
    const env = { AGENT_HOMEDIRECTORY: agent, PATH: '/nowhere' };
    const { exitCode, errors, taskResult } = await startOnAzure(`dist/azure/${name}.mjs`, { node: NODE_20, env }).result;
    expect([exitCode, taskResult]).toEqual([0, 'Failed']);
    expect(errors[0]).toMatch(missing);
  });

  test('terminal: names options and variables and ends with an exit code', async () => {
    const { exitCode, json } = await startOnTerminal('dist/cli.mjs', { args: [name, '--json'] }).result;
    expect(exitCode).toBe(code);
    expect(json).toMatchObject({ outcome: 'failed', exitCode: code });
    expect((json?.['error'] as { message: string }).message).toMatch(missing);
  });
});

test('Azure on Node 20 without any Node 24 says so in one sentence', async () => {
  const { errors, taskResult } = await startOnAzure('dist/azure/list-backups.mjs', { node: NODE_20, env: { PATH: '/nowhere' } }).result;
  expect(errors).toEqual([expect.stringMatching(/^This task needs Node\.js 24, but runs on v20.*Update the agent to 4\.265\.1/)]);
  expect(taskResult).toBe('Failed');
});

test('the command line on Node 20 says what it needs', async () => {
  const { exitCode, log } = await startOnTerminal('dist/cli.mjs', { node: NODE_20 }).result;
  expect(exitCode).toBe(2);
  expect(log).toMatch(/^lifeboat needs Node\.js 24 or newer; this is v20/);
});

describe('secrets', () => {
  test.each(['github', 'azure'] as const)('%s: are masked before anything else is said, and never shown', async (kind) => {
    const given = { name: 'try', store: join(tmpdir(), 'lifeboat-no-such-store'), vault: join(tmpdir(), 'lifeboat-no-such-vault') };
    const { log, masks } =
      kind === 'github'
        ? await startOnGithub('dist/github/mongodb-backup.mjs', { inputs: { ...given, 'mongodb-uri': URI, timestamp: 'wrong' } }).result
        : await startOnAzure('dist/azure/mongodb-backup.mjs', { inputs: { ...given, mongodbUri: URI, timestamp: 'wrong' } }).result;
    const telling = /^(::add-mask::|##vso\[task\.setsecret\])/;
    const lines = log.split('\n').filter((line) => line !== '');
    expect(masks).toEqual(expect.arrayContaining([URI, 'hunter2-hunter2']));
    expect(lines.filter((line) => !telling.test(line) && line.includes('hunter2'))).toEqual([]);
    expect(lines.find((line) => !line.startsWith('##vso[task.debug]'))).toMatch(telling);
  });

  test.each([
    ['a SAS in --store', '--store=https://stdr.blob.core.windows.net/backups?sv=2024-11-04&sp=rl&sig=hunter2hunter2hunter2'],
    ['a SAS in --copies', '--copies=offsite,https://stdr.blob.core.windows.net/copies?sp=rl&sig=hunter2hunter2hunter2'],
    ['a password in --store', '--store=sftp://backup:hunter2-hunter2@backup.example.org/srv?fingerprint=SHA256:x'],
    ['a SAS in --vault', '--vault=https://kv.vault.azure.net?sig=hunter2hunter2hunter2'],
  ])('terminal: %s is refused without being repeated', async (_what, arg) => {
    const { exitCode, log } = await startOnTerminal('dist/cli.mjs', { args: ['mongodb-backup', arg] }).result;
    expect(exitCode).toBe(2);
    expect(log).toMatch(/holds a (?:shared access signature|password in an address), which is not taken from the command line/);
    expect(log).not.toContain('hunter2');
  });

  test('terminal: one on the command line is refused without being repeated', async () => {
    const { exitCode, log } = await startOnTerminal('dist/cli.mjs', { args: ['mongodb-backup', '--mongodb-uri', URI] }).result;
    expect(exitCode).toBe(2);
    expect(log).toContain('LIFEBOAT_MONGODB_URI');
    expect(log).not.toContain('hunter2');
  });
});

describe('the root action', () => {
  test('runs the step it is told', async () => {
    const { errors, exitCode } = await startOnGithub('dist/github/lifeboat.mjs', { inputs: { step: 'list-backups' } }).result;
    expect(exitCode).toBe(2);
    expect(errors[0]).toContain('store is missing.');
  });

  test('suggests the step that was meant, and refuses an input of another step', async () => {
    const near = await startOnGithub('dist/github/lifeboat.mjs', { inputs: { step: 'list-backup' } }).result;
    expect(near.errors[0]).toContain('Did you mean list-backups?');
    const foreign = await startOnGithub('dist/github/lifeboat.mjs', { inputs: { step: 'list-backups', replace: 'true', store: '/x' } })
      .result;
    expect(foreign.errors[0]).toContain('list-backups has no input replace.');
  });

  test('uses an input that only the step declares, and says which action declares it', async () => {
    const inputs = { step: 'list-backups', store: '/nowhere', days: 'many' };
    const { errors, exitCode, log } = await startOnGithub('dist/github/lifeboat.mjs', { inputs }).result;
    expect(exitCode).toBe(2);
    expect(errors[0]).toContain('days is "many": expected a whole number');
    expect(log).toMatch(/::notice::GitHub warns [^\n]*: days\. [^\n]*lifeboat-dr\/lifeboat\/actions\/list-backups@v1/);
  });
});

describe('the command line', () => {
  const lifeboat = (...args: string[]) => startOnTerminal('dist/cli.mjs', { args }).result;

  test('alone shows what there is', async () => {
    const { exitCode, stdout } = await lifeboat();
    expect(exitCode).toBe(0);
    for (const name of names) expect(stdout).toContain(name);
  });

  test('an option or command that does not exist ends with 2 and the nearest one', async () => {
    const option = await lifeboat('mongodb-restore', '--timestmp', '20241201_120000');
    expect([option.exitCode, option.log]).toEqual([2, expect.stringContaining('Did you mean --timestamp?')]);
    const command = await lifeboat('mongodb-restor');
    expect([command.exitCode, command.log]).toEqual([
      2,
      expect.stringMatching(/There is no command "mongodb-restor"[^]*Did you mean:\n +lifeboat mongodb-restore /),
    ]);
  });

  test('--help shows inputs, the variable of each secret, examples and exit codes', async () => {
    const { exitCode, stdout } = await lifeboat('mongodb-restore', '--help');
    expect(exitCode).toBe(0);
    for (const text of ['--timestamp', '--dry-run', '--mongodb-uri-file', 'LIFEBOAT_MONGODB_URI', 'Examples:', '5 refused']) {
      expect(stdout.replace(/\s+/g, ' ')).toContain(text);
    }
    expect(stdout).not.toContain('--mongodb-uri ');
  });

  test('what is about no store works as built: the schema, the alert rules', async () => {
    const schema = await lifeboat('config', 'schema');
    expect([schema.exitCode, JSON.parse(schema.stdout)]).toEqual([0, JSON.parse(readFileSync('dr.schema.json', 'utf8'))]);
    const rules = await lifeboat('prometheus-rules', '--custom-resource', '--label', 'release=prometheus');
    expect([rules.exitCode, rules.stdout]).toEqual([0, expect.stringMatching(/kind: PrometheusRule[\s\S]*alert: BackupMissing/)]);
  });

  test('--version says the version of both', async () => {
    expect((await lifeboat('--version')).stdout).toMatch(/^lifeboat \d+\.\d+\.\d+ \(Node\.js v24\./);
  });
});

test('the first input error comes within 300 ms on every host', async () => {
  const LIMIT_MS = 300;
  const best = async (run: () => Promise<unknown>): Promise<number> => {
    let fastest = Infinity;
    // The fastest of many: what the bundle takes, not what else the machine is doing.
    for (let round = 0; round < 40 && fastest >= LIMIT_MS; round += 1) {
      const started = performance.now();
      await run();
      fastest = Math.min(fastest, performance.now() - started);
    }
    return fastest;
  };
  expect(await best(() => startOnGithub('dist/github/mongodb-backup.mjs').result)).toBeLessThan(LIMIT_MS);
  expect(await best(() => startOnAzure('dist/azure/mongodb-backup.mjs').result)).toBeLessThan(LIMIT_MS);
  expect(await best(() => startOnTerminal('dist/cli.mjs', { args: ['mongodb-backup'] }).result)).toBeLessThan(LIMIT_MS);
});

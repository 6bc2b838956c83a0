// `lifeboat config validate|show`: what is printed where, and the exit code.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { register } from '../../shared/cli/config.ts';
import { EXIT_CODES } from '../../shared/step/errors.ts';

const FILE = `version: 1
name: shop
objectives: { rpo: 12h, rto: 40m, phases: { mongodb: 30m, checks: 15m } }
stores:
  primary: { kind: azure-blob, account: stdrprod, container: backups, sas: "\${env:SAS}" }
  offsite: { kind: folder, path: /mnt/offsite }
vault: { kind: folder, path: /mnt/keys }
components:
  orders:
    kind: mongodb
    source: { uri: "mongodb://app:\${env:PASSWORD}@db/" }
    store: primary
    copies: [offsite]
    retention: { preset: 7-4-6 }
    schedule: "17 2 * * *"
  users:
    kind: mongodb
    source: { uri: "\${vault:users-uri}" }
    store: primary
    retention: { last: 3, within: 14d }
`;

/** Golden: the whole of what a person sees. */
const SHOWN = `# dr.yml: defaults filled in, secrets as ***
version: 1
name: shop
objectives:
  rpo: 12h
  rto: 40m
  phases:
    mongodb: 30m
    checks: 15m
stores:
  primary:
    kind: azure-blob
    account: stdrprod
    container: backups
    sas: "*** (from \${env:SAS})"
  offsite:
    kind: folder
    path: /mnt/offsite
vault:
  kind: folder
  path: /mnt/keys
keys:
  - kind: folder
components:
  orders:
    kind: mongodb
    source:
      uri: mongodb://app:***@db/
    engine: auto
    store: primary
    copies:
      - offsite
    verify: full
    compression:
      kind: zstd
      level: 3
    limits:
      maxShrink: 50
    retention:
      preset: 7-4-6
    schedule: 17 2 * * *
  users:
    kind: mongodb
    source:
      uri: "*** (from \${vault:users-uri})"
    engine: auto
    store: primary
    verify: full
    compression:
      kind: zstd
      level: 3
    limits:
      maxShrink: 50
    retention:
      last: 3
      within: 14d

# Retention
#   orders: 7 daily, 4 weekly, 6 monthly
#   users: the last 3, all within 14d

# Next runs (UTC)
#   orders: 2024-12-02 02:17, 2024-12-03 02:17, 2024-12-04 02:17

# To know
#   dr.yml:3:35 objectives.phases: add up to 45m 00s, more than the rto of 40m
#   dr.yml:15:5 components.orders.schedule: leaves up to 24h 00m between two backups, more than the rpo of 12h`;

let folder: string;
const before = process.cwd();
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-config-cli-'));
  process.chdir(folder);
  writeFileSync('dr.yml', FILE);
  writeFileSync('bad.yml', FILE.replace('store: primary', 'store: primry').replace('7-4-6', 'gfs'));
});
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

async function lifeboat(...args: string[]) {
  const result = { out: [] as string[], err: [] as string[], code: 0 };
  const program = new Command('lifeboat').exitOverride();
  register(program, {
    out: (text) => result.out.push(text),
    exit: (code) => {
      result.code = code;
    },
    fail: async ({ message, fix = '', kind }) => {
      result.err.push(message, fix);
      result.code = EXIT_CODES[kind];
    },
    now: () => new Date('2024-12-01T12:00:00Z'),
  });
  await program.parseAsync(['config', ...args], { from: 'user' });
  return { out: result.out.join('\n'), err: result.err.join('\n'), code: result.code };
}

describe('config show', () => {
  test('prints dr.yml as it is understood', async () => {
    expect(await lifeboat('show')).toEqual({ out: SHOWN, err: '', code: 0 });
  });

  test('--json has the same for machines', async () => {
    const { out, code } = await lifeboat('show', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      file: 'dr.yml',
      config: { components: { orders: { source: { uri: 'mongodb://app:***@db/' }, engine: 'auto' } } },
      components: [
        {
          name: 'orders',
          store: 'primary',
          retention: { daily: 7, weekly: 4, monthly: 6 },
          nextRuns: ['2024-12-02T02:17:00.000Z', '2024-12-03T02:17:00.000Z', '2024-12-04T02:17:00.000Z'],
        },
        { name: 'users', retention: { last: 3, within: '14d' } },
      ],
    });
  });
});

describe('config validate', () => {
  test('says what is there and what to know', async () => {
    const { out, code } = await lifeboat('validate');
    expect(code).toBe(0);
    expect(out.split('\n').slice(0, 2)).toEqual([
      'dr.yml is valid: 2 components (orders, users), 2 stores (primary, offsite).',
      'note: dr.yml:3:35 objectives.phases: add up to 45m 00s, more than the rto of 40m',
    ]);
  });

  test('needs no secret: a pull request has none', async () => {
    expect(process.env['PASSWORD']).toBeUndefined();
    expect((await lifeboat('validate')).code).toBe(0);
  });

  test('prints every problem on standard error and ends with 2', async () => {
    expect(await lifeboat('validate', '--config', 'bad.yml')).toEqual({
      out: '',
      err:
        '2 problems in bad.yml:\n' +
        '- bad.yml:12:12 components.orders.store: there is no store "primry". Did you mean primary?\n' +
        '- bad.yml:14:26 components.orders.retention.preset: expected daily-weekly-monthly, such as 7-4-6, or days, such as 14d, or a name, such as data-remote, found "gfs"\n',
      code: 2,
    });
  });

  test('--json tells the same to machines, on standard output', async () => {
    const { out, err, code } = await lifeboat('validate', '--config', 'bad.yml', '--json');
    expect([err, code]).toEqual(['', 2]);
    expect(JSON.parse(out)).toMatchObject({
      valid: false,
      problems: [{ line: 12, column: 12, path: 'components.orders.store' }, { line: 14 }],
    });
    expect(JSON.parse((await lifeboat('validate', '--json')).out)).toMatchObject({ valid: true, problems: [], file: 'dr.yml' });
  });

  test('says so when there is no file', async () => {
    expect(await lifeboat('validate', '--config', 'nope.yml')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^nope\.yml: there is no such file\.\n/),
    });
    process.chdir(tmpdir());
    try {
      expect(await lifeboat('validate')).toMatchObject({
        code: 2,
        err: expect.stringMatching(/^There is no dr\.yml here\.\n.*lifeboat init/),
      });
    } finally {
      process.chdir(folder);
    }
  });
});

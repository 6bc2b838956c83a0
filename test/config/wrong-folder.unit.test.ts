// Where dr.yml is found, and what is said at 3 a.m. in the wrong folder: the cause before its consequences.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { absentDr, findDrFile } from '../../shared/config/source.ts';
import { loadDr } from '../../shared/config/load.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { Session } from '../../shared/session/session.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';

const before = process.cwd();
let root: string;
let deep: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'wrong-folder-')));
  deep = join(root, 'repository', 'infra', 'west');
  mkdirSync(deep, { recursive: true });
});
afterEach(() => {
  process.chdir(before);
  rmSync(root, { recursive: true });
});

const FILE = `version: 1
name: shop
stores: { disk: { kind: folder, path: backups } }
vault: { kind: folder, path: "\${env:KEYS}" }
keys: [{ kind: folder }, { kind: escrow, publicKey: escrow.pem }]
components: { db: { kind: mongodb, source: { uri: "\${env:DB_URI}" } } }
`;
const write = (...folders: string[]): void => {
  writeFileSync(join(root, 'repository', ...folders, 'dr.yml'), FILE);
};
const makeRepository = (...folders: string[]): void => {
  mkdirSync(join(root, 'repository', ...folders, '.git'));
};

/** Message and log of a step that is run in the deep folder. */
async function run(name: string) {
  process.chdir(deep);
  const step = findStep(name);
  if (!step) throw new Error('no step');
  const host = new MemoryHost();
  const session = new Session((name) => host.rawInput(name), host);
  const { error } = await runStep(step, host, { openConfig: session.config });
  return { message: error?.message ?? '', log: host.log };
}

describe('dr.yml', () => {
  test('is looked for up to the root of the repository, the nearest one first', () => {
    makeRepository();
    write();
    expect(findDrFile(undefined, deep)).toBe('../../dr.yml');
    write('infra');
    expect(findDrFile(undefined, deep)).toBe('../dr.yml');
    write('infra', 'west');
    expect(findDrFile(undefined, deep)).toBe('dr.yml');
  });

  test('above the root of the repository, or outside of one, is not used, but told', () => {
    write();
    expect([findDrFile(undefined, deep), absentDr(deep)]).toEqual([undefined, 'There is no dr.yml here; there is one in ../..']);
    makeRepository('infra');
    expect([findDrFile(undefined, deep), absentDr(deep)]).toEqual([undefined, 'There is no dr.yml here; there is one in ../..']);
  });

  test('found above says so, and its relative paths begin at its own folder', async () => {
    makeRepository();
    write();
    mkdirSync(join(root, 'repository', 'backups'));
    const { log, message } = await run('list-backups');
    expect([message, log.filter((line) => line.startsWith('notice'))]).toEqual(['', ['notice: Using ../../dr.yml.']]);
    expect(await (await loadDr('../../dr.yml')).store('disk')).toEqual({ kind: 'folder', path: join(root, 'repository', 'backups') });
  });

  test.each([
    ...['list-backups', 'status', 'audit', 'backup-validation', 'copy-backups', 'apply-retention'],
    ...['mongodb-backup', 'mongodb-restore', 'backup-all', 'doctor'],
  ])('missing is the first thing that %s says', async (step) => {
    write();
    const { message } = await run(step);
    expect(message).toMatch(/^There is no dr\.yml here; there is one in \.\.\/\.\./);
  });
});

test('what this machine does not have is named with its line: variables, files and folders', async () => {
  write();
  const config = await loadDr(join(root, 'repository', 'dr.yml'), { env: { DB_URI: '' } });
  expect(config.missingHere().map(({ line, path, message }) => `${line} ${path}: ${message.replaceAll(root, '')}`)).toEqual([
    '3 stores.disk.path: there is no folder /repository/backups here',
    '4 vault.path: the variable KEYS is not set here',
    '5 keys[1].publicKey: there is no file /repository/escrow.pem here',
    '6 components.db.source.uri: the variable DB_URI is empty here',
  ]);
  mkdirSync(join(root, 'repository', 'backups'));
  writeFileSync(join(root, 'repository', 'escrow.pem'), '');
  const whole = await loadDr(join(root, 'repository', 'dr.yml'), { env: { DB_URI: 'mongodb://x', KEYS: root } });
  expect(whole.missingHere()).toEqual([]);
});

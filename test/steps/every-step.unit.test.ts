// Every step with a dr.yml of three components of two kinds: two databases that cannot be reached now, and a text file that can.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { writeBackup } from '../../shared/backup/write.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { KINDS } from '../../shared/kinds/registry.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { drSource } from '../../shared/session/session.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import { stepsWith } from '../../shared/steps/index.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { TIME } from '../backup/support.ts';
import { textFile } from '../kinds/text-file.ts';
import { buildArchive } from '../mongodb/archives.ts';

const kinds = KINDS.with(textFile);
const steps = stepsWith(kinds);
const DATABASES = ['shop', 'chat'] as const;
/** Nothing listens there. */
const NO_MONGODB = 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200';

let root: string;
const at = (path: string): string => join(root, path);

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'lifeboat-every-'));
  for (const folder of ['primary', 'offsite', 'vault']) mkdirSync(at(folder), { mode: 0o700 });
  writeFileSync(at('notes.txt'), 'one\ntwo\nthree\n');
  const common = 'store: primary, copies: [offsite], retention: { last: 5 }, schedule: "17 2 * * *"';
  writeFileSync(
    at('dr.yml'),
    [
      'version: 1',
      'name: prod',
      'stores: { primary: { kind: folder, path: ./primary }, offsite: { kind: folder, path: ./offsite } }',
      'vault: { kind: folder, path: ./vault }',
      'components:',
      ...DATABASES.map((name) => `  ${name}: { kind: mongodb, source: { uri: "\${env:NO_MONGODB}" }, ${common} }`),
      `  notes: { kind: text-file, path: ${at('notes.txt')}, ${common} }`,
      '',
    ].join('\n'),
  );
  for (const component of DATABASES) await backUpDatabase(component);
  expect((await run('text-file-backup', { timestamp: TIME })).outcome).toBe('succeeded');
});

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

async function backUpDatabase(component: string): Promise<void> {
  const archive = await buildArchive([{ db: component, collection: 'orders', documents: [{ _id: 1 }, { _id: 2 }] }]);
  await writeBackup({
    ...{ store: new FolderStore(at('primary')), prefix: 'prod', component, timestamp: TIME, kind: 'mongodb', owner: 'a test' },
    ...{ recipients: [new SecretRecipient(new FolderVault(at('vault')))], newInspector: newArchiveInspector, tools: {} },
    source: (async function* () {
      yield archive;
    })(),
    facts: { source: {}, consistency: 'point-in-time' },
  });
}

interface Ran {
  outcome: string;
  exitCode: number;
  said: string;
  outputs: Record<string, string>;
  result: unknown;
  log: string[];
}

async function run(name: string, inputs: Record<string, string> = {}): Promise<Ran> {
  const step = steps.find((one) => one.name === name) as AnyStep;
  const host = new MemoryHost({ inputs: { config: at('dr.yml'), ...inputs } });
  const { outcome, exitCode, error, result } = await runStep(step, host, { openConfig: drSource({ kinds, env: { NO_MONGODB } }) });
  const said = [error?.message, error?.fix, error?.stack].filter((text) => text !== undefined).join('\n');
  return { outcome, exitCode, said, outputs: host.outputs, result, log: host.log };
}

interface Expected {
  inputs?: () => Record<string, string>;
  /** What is true of the run: of a part of `Ran`. */
  ends: Record<string, unknown>;
}

const succeeded = { outcome: 'succeeded', said: '' };
/** Where a step is about one component, it names those that it could be. */
const asks = (pattern: RegExp): Record<string, unknown> => ({ exitCode: 2, said: expect.stringMatching(pattern) });
const each = (...names: string[]): unknown => expect.arrayContaining(names.map((component) => expect.objectContaining({ component })));

/** No component is named in any call. In the order in which they run: each finds what those before have left. */
const STEPS: Record<string, Expected> = {
  'list-backups': { ends: { ...succeeded, outputs: expect.objectContaining({ count: '3' }) } },
  'backup-validation': { ends: { ...succeeded, outputs: expect.objectContaining({ checked: '3', failed: '0' }) } },
  'mongodb-backup': { ends: asks(/shop, chat/) },
  'mongodb-restore': { inputs: () => ({ confirm: 'prod' }), ends: asks(/shop, chat/) },
  'backup-cluster-state': { ends: asks(/no component of kind cluster-state/) },
  'restore-cluster-state': { inputs: () => ({ confirm: 'prod' }), ends: asks(/shop, chat, notes|no component of kind cluster-state/) },
  'diff-cluster-state': { ends: asks(/shop, chat, notes|no component of kind cluster-state/) },
  'text-file-backup': { ends: { ...succeeded, outputs: expect.objectContaining({ lines: '3', verified: 'true' }) } },
  'text-file-restore': {
    inputs: () => {
      writeFileSync(at('notes.txt'), 'changed\n');
      return { confirm: 'prod', replace: 'true' };
    },
    ends: { ...succeeded, result: expect.objectContaining({ verdict: 'equal' }) },
  },
  'backup-integrity-check': { ends: asks(/shop, chat,? (?:or )?notes/) },
  'copy-backups': {
    inputs: () => ({ days: '0' }),
    ends: { ...succeeded, outputs: expect.objectContaining({ copied: '2', failed: '0' }) },
  },
  'backup-all': {
    ends: {
      outcome: 'partial',
      outputs: expect.objectContaining({ components: '1', failed: '2' }),
      result: expect.objectContaining({ components: each('shop', 'chat', 'notes') }),
    },
  },
  'hold-backup': { inputs: () => ({ reason: 'a test' }), ends: asks(/shop, chat,? (?:or )?notes/) },
  'release-hold': { inputs: () => ({ timestamp: TIME }), ends: asks(/shop, chat,? (?:or )?notes/) },
  'apply-retention': { inputs: () => ({ confirm: 'prod' }), ends: { said: '' } },
  'import-backup': {
    inputs: () => {
      writeFileSync(at('mongodb_20230101_000000.archive'), 'no dump');
      return { file: at('mongodb_20230101_000000.archive') };
    },
    ends: asks(/shop, chat/),
  },
  status: {
    inputs: () => ({ publish: 'false', failOn: 'never' }),
    ends: { said: '', result: expect.objectContaining({ components: each('shop', 'chat', 'notes') }) },
  },
  audit: { ends: succeeded },
  notify: { inputs: () => ({ outcome: 'failed' }), ends: asks(/There is no one to tell/) },
  // What is the same for all of them is told once.
  doctor: {
    inputs: () => ({ only: 'store-access,vault-access' }),
    ends: { ...succeeded, outputs: expect.objectContaining({ ok: '2', failed: '0' }) },
  },
};

test('no step is left out', () => {
  expect(steps.map(({ name }) => name).sort()).toEqual(Object.keys(STEPS).sort());
});

describe('with three components of two kinds', () => {
  test.each(Object.entries(STEPS))('%s', async (name, { inputs, ends }) => {
    const ran = await run(name, inputs?.());
    expect(ran).toMatchObject(ends);
    expect(ran.said).not.toMatch(/Unexpected error/);
    const lines = ran.log.map((line) => line.replace(/^debug: (?:\w+: )?/, ''));
    expect(lines.filter((line) => line.startsWith(`Reading ${at('dr.yml')}`))).toHaveLength(1);
    const opened = lines.filter((line) => line.startsWith('Opened the store '));
    expect(opened).toEqual([...new Set(opened)]);
  });

  test('only what was named has changed', () => {
    expect(readFileSync(at('notes.txt'), 'utf8')).toBe('one\ntwo\nthree\n');
    expect(existsSync(at('offsite/prod/shop'))).toBe(true);
  });
});

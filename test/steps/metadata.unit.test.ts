// Metadata choose what is looked at and prove nothing: lost, changed or hostile, they are found in every depth, named, and mended.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { backUp, folderWorld, PREFIX, TIME } from '../campaign/small-backup.ts';
import { readCopy } from '../support/copy-folder.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import type { Finish } from '../../shared/step/host.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { sidecarFolder } from '../../shared/stores/folder/sidecar.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { pickBackup } from '../../shared/catalog/pick.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';

const root = mkdtempSync(join(tmpdir(), 'lifeboat-metadata-'));
const store = join(root, 'store');
const folder = `${PREFIX}/mongodb/${TIME}`;
const DATA = `${folder}/data`;
const MANIFEST = `${folder}/manifest.json`;
const DEPTHS = [{}, { depth: 'stored' }, { subset: '1/3' }, { type: 'mongodb' }, { timestamp: TIME, component: 'mongodb' }];
let put: () => void;

beforeAll(async () => {
  await backUp(folderWorld(root));
  put = readCopy(store);
});
beforeEach(() => {
  put();
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

async function validate(more: Record<string, string> = {}): Promise<Finish> {
  const inputs = { store, vault: join(root, 'vault'), name: PREFIX, config: '', ...more };
  return runStep(findStep('backup-validation') as AnyStep, new MemoryHost({ inputs }));
}

function sidecar(name: string): string {
  const at = sidecarFolder(store, name);
  return join(at, readdirSync(at)[0] as string);
}

function change(name: string, change: (metadata: Record<string, unknown>) => unknown): void {
  const file = sidecar(name);
  const value = JSON.parse(readFileSync(file, 'utf8')) as { metadata: Record<string, unknown> };
  writeFileSync(file, JSON.stringify({ ...value, metadata: change(value.metadata) }));
}

/** What a crash, a person or an attacker may leave where JSON is expected. */
const HOSTILE: [what: string, text: string][] = [
  ['null', 'null'],
  ['a list', '[]'],
  ['a text', '"x"'],
  ['a number', '1e999'],
  ['nothing', '{}'],
  ['no text at all', ''],
  ['half', '{"name":"x","meta'],
  ['null inside', '{"name":"x","metadata":null}'],
  ['a list inside', '{"name":"x","metadata":[1]}'],
  ['wrong types', '{"name":7,"metadata":{"kind":{"a":1},"storedbytes":[],"verified":null,"badbackups":3}}'],
  ['__proto__', '{"__proto__":{"name":"x"},"metadata":{"__proto__":{"kind":"mongodb"}},"constructor":1}'],
  ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ['deep objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
];

describe('metadata that are lost or wrong', () => {
  test.each([DATA, MANIFEST])('are found whichever bit of the file of %s is another one', async (name) => {
    const file = sidecar(name);
    const bytes = readFileSync(file);
    for (let at = 0; at < bytes.length; at += 23) {
      const changed = Buffer.from(bytes);
      changed[at] = (bytes[at] as number) ^ (1 << (at % 8));
      writeFileSync(file, changed);
      const { exitCode, error } = await validate(DEPTHS[at % DEPTHS.length]);
      expect([at, exitCode, error?.message]).toEqual([at, 4, expect.stringContaining(name)]);
    }
  });

  test.each(DEPTHS)('fail a validation with %j and name what mends them', async (depth) => {
    change(MANIFEST, (metadata) => ({ ...metadata, kind: '__proto__' }));
    const finish = await validate(depth);
    expect(finish).toMatchObject({ exitCode: 4, outcome: 'failed' });
    expect(finish.error?.message).toBe(`mongodb ${TIME}: the metadata "kind" of ${MANIFEST} is not what the manifest says.`);
    expect(finish.error?.fix).toContain('repair');
  });

  test('are all gone in a store that was copied without .lifeboat: found, listed from the manifest, restorable, mended', async () => {
    rmSync(join(store, '.lifeboat'), { recursive: true });
    const place = { store: new FolderStore(store), prefix: PREFIX };
    expect(await listBackups(place.store, PREFIX)).toMatchObject([{ state: 'verified', kind: 'mongodb' }]);
    expect(await pickBackup({ ...place, component: 'mongodb' })).toMatchObject({ backup: { timestamp: TIME } });
    for (const depth of DEPTHS) {
      const { exitCode, error } = await validate(depth);
      expect([exitCode, error?.message]).toEqual([
        4,
        `mongodb ${TIME}: the metadata of ${DATA} is lost; the metadata of ${MANIFEST} is lost.`,
      ]);
    }
    expect(await validate({ repair: 'true' })).toMatchObject({ exitCode: 0, result: { checked: [{ repaired: true, verdict: 'good' }] } });
    for (const depth of DEPTHS) expect((await validate(depth)).exitCode).toBe(0);
    expect((await place.store.stat(DATA))?.metadata).toMatchObject({ origin: 'unknown' });
  });

  test.each([
    ['storedbytes', '7'],
    ['suspect', '1'],
    ['origin', 'bopy'],
    ['attempt', 'somebody'],
    ['lifeboatkeys', '[]'],
    ['encryptiondata', '{}'],
  ])('say so of %s beside the data, and are written anew', async (key, value) => {
    const name = key === 'suspect' ? MANIFEST : DATA;
    change(name, (metadata) => ({ ...metadata, [key]: value }));
    const found = await validate({ depth: 'stored' });
    expect([found.exitCode, found.error?.message]).toEqual([4, expect.stringContaining(`metadata "${key}" of ${name}`)]);
    expect((await validate({ depth: 'stored', repair: 'true' })).exitCode).toBe(0);
    expect((await validate()).exitCode).toBe(0);
  });

  test('do not make a whole backup one that cannot be restored', async () => {
    change(MANIFEST, (metadata) => ({ ...metadata, storedbytes: '7' }));
    const place = { store: new FolderStore(store), prefix: PREFIX, component: 'mongodb' };
    expect(await pickBackup(place)).toMatchObject({ backup: { state: 'verified' } });
    expect(await pickBackup({ ...place, timestamp: TIME })).toMatchObject({ backup: { state: 'verified' }, notices: [] });
  });
});

describe('whatever lies where a store keeps JSON', () => {
  test.each(HOSTILE)('%s does not stop a listing or a validation', async (_what, text) => {
    for (const entry of readdirSync(join(store, '.lifeboat', 'metadata'), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) writeFileSync(join(entry.parentPath, entry.name), text);
    expect(await listBackups(new FolderStore(store), PREFIX)).toMatchObject([{ state: 'verified', kind: 'mongodb' }]);
    const { exitCode, error } = await validate();
    expect([exitCode, error?.message]).toEqual([4, expect.stringContaining('is lost')]);
  });
});

describe('data that is cut, longer or gone', () => {
  const inputs = [{ depth: 'stored', timestamp: TIME, component: 'mongodb' }, { depth: 'full' }, { subset: '1/2', timestamp: TIME }];

  test('is exit 4 that names the byte, at lengths all along, with a timestamp and without', async () => {
    const path = join(store, DATA);
    const bytes = readFileSync(path);
    for (let length = 0; length < bytes.length; length += 61) {
      writeFileSync(path, bytes.subarray(0, length));
      const { exitCode, error } = await validate(inputs[length % inputs.length]);
      expect([exitCode, error?.message]).toEqual([
        4,
        `mongodb ${TIME} (${DATA}) is cut at byte ${length}: ${bytes.length} bytes were written.`,
      ]);
    }
    for (const more of inputs) {
      writeFileSync(path, Buffer.concat([bytes, Buffer.from('x')]));
      const longer = await validate(more);
      expect([longer.exitCode, longer.error?.message]).toEqual([4, expect.stringContaining(`after its end at byte ${bytes.length}`)]);
      rmSync(path);
      const gone = await validate(more);
      expect([gone.exitCode, gone.error?.message]).toEqual([4, expect.stringContaining('is gone')]);
    }
  });

  test('is told with its byte also when it is the only one to choose from', async () => {
    const path = join(store, DATA);
    writeFileSync(path, readFileSync(path).subarray(0, 9));
    const place = { store: new FolderStore(store), prefix: PREFIX, component: 'mongodb' };
    await expect(pickBackup(place)).rejects.toMatchObject({ kind: 'verification', message: expect.stringContaining('is cut at byte 9') });
  });
});

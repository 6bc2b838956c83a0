import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decrypt } from '../../shared/cli/decrypt.ts';
import { datasetArchive } from '../dataset/dataset-archive.ts';
import { writeBackup, type BackupResult } from '../../shared/backup/write.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { runStep } from '../../shared/step/run.ts';
import type { Timestamp } from '../../shared/step/timestamp.ts';
import { sidecarFolder } from '../../shared/stores/folder/sidecar.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openRecipients, openVault } from '../../shared/vaults/open.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-decrypt-'));
const at = (name: string): string => join(folder, name);
let archive: Buffer;
let backup: BackupResult;
let keyFile: string;

beforeAll(async () => {
  archive = Buffer.concat([...datasetArchive({ size: 2 ** 20 })]);
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 3072,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  writeFileSync(at('public.pem'), pair.publicKey);
  writeFileSync(at('private.pem'), pair.privateKey, { mode: 0o600 });
  const vault = await openVault(at('keys'));
  const store = new FolderStore(at('store'));
  backup = await writeBackup({
    store,
    prefix: 'test',
    component: 'mongodb',
    kind: 'mongodb',
    timestamp: '20241201_120000' as Timestamp,
    recipients: await openRecipients([{ kind: 'vault' }, { kind: 'escrow', publicKey: at('public.pem') }], { vault }),
    source: (async function* () {
      yield archive;
    })(),
    newInspector: newArchiveInspector,
    facts: { source: {}, consistency: 'per-collection' },
    tools: { lifeboat: '0' },
    owner: 'test',
  });
  const stored = await store.stat(backup.names.data);
  writeFileSync(at('metadata.json'), JSON.stringify(stored?.metadata));
  const keyFolder = at('keys/lifeboat-mongodb-20241201-120000');
  keyFile = join(keyFolder, readdirSync(keyFolder)[0] as string);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function run(inputs: Record<string, string>) {
  const host = new MemoryHost({
    inputs: { data: at(`store/${backup.names.data}`), output: at('out.archive'), ...inputs },
  });
  return runStep(decrypt, host);
}
const sidecar = (): string => {
  const where = sidecarFolder(at('store'), backup.names.data);
  return join(where, readdirSync(where)[0] as string);
};
const manifest = (): string => at(`store/${backup.names.manifest}`);

describe('lifeboat decrypt', () => {
  test.each([
    ['the key file and the manifest', () => ({ keyFile, manifest: manifest() })],
    ['the escrow key and the manifest', () => ({ escrowKey: at('private.pem'), manifest: manifest() })],
    ['the key file and the metadata, the manifest lost', () => ({ keyFile, metadata: at('metadata.json') })],
    ['the key file and the file that the folder store keeps, the manifest lost', () => ({ keyFile, metadata: sidecar() })],
    ['the vault', () => ({ vault: at('keys'), manifest: manifest() })],
  ])('gives back the very archive with %s', async (_with, inputs) => {
    const finish = await run({ ...inputs(), force: 'true' });
    expect(finish.error).toBeUndefined();
    expect(finish.exitCode).toBe(0);
    expect(readFileSync(at('out.archive')).equals(archive)).toBe(true);
    expect(statSync(at('out.archive')).mode & 0o777).toBe(0o600);
  });

  test("takes the value of the secret as the vault shows it, and refuses another backup's", async () => {
    const { value } = JSON.parse(readFileSync(keyFile, 'utf8')) as { value: string };
    writeFileSync(at('key.txt'), `${value}\n`);
    expect((await run({ keyFile: at('key.txt'), manifest: manifest(), force: 'true' })).exitCode).toBe(0);
    writeFileSync(at('key.txt'), Buffer.alloc(32, 7).toString('base64'));
    const finish = await run({ keyFile: at('key.txt'), manifest: manifest(), force: 'true' });
    expect(finish.exitCode).toBe(4);
    expect(finish.error?.message).toBe(`The key in ${at('key.txt')} does not open the backup mongodb 20241201_120000.`);
  });

  test('refuses to overwrite, and leaves nothing behind when the data is damaged', async () => {
    writeFileSync(at('there'), 'x');
    const refused = await run({ keyFile, manifest: manifest(), output: at('there') });
    expect(refused.exitCode).toBe(5);
    const data = readFileSync(at(`store/${backup.names.data}`));
    writeFileSync(at('cut'), data.subarray(0, data.length - 1));
    const finish = await run({ data: at('cut'), keyFile, manifest: manifest(), output: at('never') });
    expect(finish.exitCode).toBe(4);
    expect(existsSync(at('never'))).toBe(false);
    expect(existsSync(at('never.partial'))).toBe(false);
  });

  test("writes through no link and onto no device, with force or without, and leaves a person's own files alone", async () => {
    writeFileSync(at('mine'), 'mine');
    writeFileSync(at('new.partial'), 'mine too');
    symlinkSync(at('mine'), at('link'));
    symlinkSync(at('nowhere'), at('dangling'));
    for (const output of [at('link'), at('dangling'), '/dev/null', folder]) {
      for (const force of ['true', 'false']) {
        const { exitCode, error } = await run({ keyFile, manifest: manifest(), output, force });
        expect([exitCode, error?.message]).toEqual([5, expect.stringMatching(/ is (a link|a device|a folder), and is not written to\.$/)]);
      }
    }
    expect((await run({ keyFile, manifest: manifest(), output: at('new') })).exitCode).toBe(0);
    expect(readFileSync(at('mine'), 'utf8') + readFileSync(at('new.partial'), 'utf8')).toBe('minemine too');
    expect(existsSync(at('nowhere'))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('tells everyday mistakes in sentences', async () => {
    writeFileSync(at('half.json'), '{"metadata":');
    writeFileSync(at('broken.json'), '{"value": "AAAA');
    const tries: [Record<string, string>, number, RegExp][] = [
      [{ output: at('no/such/folder/out') }, 2, /cannot be written: there is no such file or folder\.$/],
      [{ data: folder, output: at('o1') }, 2, /cannot be read: it is a folder\.$/],
      [{ data: at('nothing'), output: at('o2') }, 2, /cannot be read: there is no such file/],
      [{ manifest: '', metadata: at('half.json'), output: at('o3') }, 2, /cannot be read: it is not JSON\.$/],
      [{ manifest: '', metadata: folder, output: at('o4') }, 2, /cannot be read: it is a folder/],
      [{ keyFile: at('broken.json'), output: at('o5') }, 4, /is damaged: it is not the JSON that a vault writes\.$/],
    ];
    for (const [inputs, code, message] of tries) {
      const { exitCode, error } = await run({ keyFile, manifest: manifest(), ...inputs });
      expect([exitCode, error?.message, error?.stack]).toEqual([code, expect.stringMatching(message), undefined]);
    }
    expect(readdirSync(folder).filter((name) => /^\.|^o\d/.test(name))).toEqual([]);
  });

  test('says what is missing when nothing can open the data', async () => {
    const finish = await run({ manifest: manifest(), output: at('never') });
    expect(finish.exitCode).toBe(2);
    expect(finish.error?.fix).toContain('keyFile');
  });
});

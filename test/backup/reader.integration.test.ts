// docs/read-backup.py, written from docs/format.md alone, opens backups of every option, proves them, and finds what was changed.
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inPieces } from '../campaign/small-backup.ts';
import type { Compression } from '../../shared/backup/frames.ts';
import type { BackupRequest } from '../../shared/backup/write-request.ts';
import { writeBackup } from '../../shared/backup/write.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { EscrowRecipient } from '../../shared/vaults/recipients/escrow.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { missingForPythonStorage, pythonForReader } from '../backends/python-storage.ts';
import { tempFolder } from '../backends/support.ts';
import { buildArchive } from '../mongodb/archives.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { describeIf } from '../support/needs.ts';
import { MIB, noise, TIME } from './support.ts';

const folder = tempFolder('reader');
const privateKey = join(folder, 'private.pem');
const publicKey = join(folder, 'public.pem');
const vault = join(folder, 'vault');
const data = join(folder, 'data');
const manifest = join(folder, 'manifest.json');

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const missing = missingForPythonStorage();
describeIf(missing === undefined, missing ?? '')('a reader in Python', () => {
  let python: string;
  let archive: Buffer;

  beforeAll(async () => {
    mkdirSync(folder, { recursive: true });
    const pair = generateKeyPairSync('rsa', {
      modulusLength: 3072,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    writeFileSync(privateKey, pair.privateKey, { mode: 0o600 });
    writeFileSync(publicKey, pair.publicKey);
    python = await pythonForReader();
    const documents = Array.from({ length: 40 }, (_, at) => ({ _id: at, 7: 'number-like', größe: `wert ${at}`, '😀': at / 3 }));
    archive = await buildArchive([
      { db: 'chat', collection: '42', documents, perBlock: 9 },
      { db: 'chat', collection: 'größe\uE000', documents: documents.slice(0, 3) },
      { db: 'chat', collection: '😀', documents: [{ _id: 1, noise: noise(5 * MIB) }] },
      { db: 'chat', collection: 'empty', documents: [] },
      { db: 'chat', collection: 'weather', documents, dataCollection: 'system.buckets.weather', type: 'timeseries' },
      { db: '', collection: 'oplog', documents: [{ op: 'i', ns: 'chat.42', o: { _id: 99 } }] },
    ]);
  }, 300_000);

  async function backUp(overrides: Partial<BackupRequest>): Promise<void> {
    const store = new MemoryStore();
    const { names } = await writeBackup({
      ...{ store, prefix: 'prod', component: 'mongodb', kind: 'mongodb', timestamp: TIME, owner: 'test' },
      recipients: [await EscrowRecipient.open({ publicKey })],
      source: inPieces(archive, 300_000),
      newInspector: newArchiveInspector,
      facts: {
        source: { host: 'db.example.org', 10: 'ten', 9: 'nine', ключ: 1.5e-7, '😀': 1e21, '\uE000': 0.1 },
        consistency: 'per-collection',
        suspect: ['it is smaller than the one before'],
      },
      tools: { lifeboat: '0.1.0' },
      ...overrides,
    });
    writeFileSync(data, store.bytes(names.data));
    writeFileSync(manifest, store.bytes(names.manifest));
  }

  function read(...keys: string[]): { status: number | null; said: string; found: { totals: object; namespaces: object[] } | undefined } {
    const program = fileURLToPath(new URL('../../docs/read-backup.py', import.meta.url));
    const { status, stdout, stderr } = spawnSync(python, [program, data, manifest, ...keys], { encoding: 'utf8' });
    const found = status === 0 ? (JSON.parse(stdout) as { found: { totals: object; namespaces: object[] } }).found : undefined;
    return { status, said: stderr, found };
  }

  const ALL: [string, Compression][] = [
    ['zstd in small frames', { algorithm: 'zstd', frameBytes: 64 * 1024 }],
    ['zstd', { algorithm: 'zstd', level: 1 }],
    ['no compression', { algorithm: 'none' }],
  ];
  test.each(ALL)('opens %s by escrow and by the vault, and finds what the manifest says', async (_what, compression) => {
    await backUp({ compression, recipients: [await EscrowRecipient.open({ publicKey }), new SecretRecipient(new FolderVault(vault))] });
    const output = join(folder, 'archive');
    for (const keys of [
      ['--escrow', privateKey],
      ['--vault', vault, '--output', output],
    ]) {
      const { status, said, found } = read(...keys);
      expect([status, said]).toEqual([0, '']);
      expect(found?.totals).toMatchObject({ namespaces: 5, documents: 84 });
    }
    expect(readFileSync(output).equals(archive)).toBe(true);
    rmSync(output);
  });

  test('refuses what was changed, cut, swapped or is not opened by the key', async () => {
    await backUp({});
    const [whole, text] = [readFileSync(data), readFileSync(manifest, 'utf8')];
    const tries: [Buffer, string, RegExp][] = [
      [whole.subarray(0, 1000), text, /cut at byte 1000/],
      [Buffer.concat([whole, Buffer.from('x')]), text, /longer than/],
      [flipped(whole, 100), text, /region 0 at byte 0 fails its tag/],
      [whole, text.replace('db.example.org', 'db.example.net'), /SHA-256|HMAC/],
      [whole, `\uFEFF${text}`, /byte order mark/],
      [whole, text.slice(0, 500), /damaged or cut/],
      [whole, text.replace(/( {4}"plain".*\n)( {4}"compressed".*\n)/, '$2$1'), /another order/],
      [whole, text.replace(/("documents": )40/, '$141'), /SHA-256|HMAC/],
    ];
    for (const [bytes, json, message] of tries) {
      writeFileSync(data, bytes);
      writeFileSync(manifest, json);
      const { status, said } = read('--escrow', privateKey);
      expect([status, said]).toEqual([4, expect.stringMatching(message)]);
    }
    writeFileSync(data, whole);
    writeFileSync(manifest, text);
    expect(read()).toMatchObject({ status: 4, said: expect.stringContaining('no key was given that opens it') });
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (bytes[at] as number) ^ 1;
  return changed;
}

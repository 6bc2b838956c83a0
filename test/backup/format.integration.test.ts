// docs/format.md is true: the programs printed there open our backups without our code.
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { writeBackup } from '../../shared/backup/write.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { EscrowRecipient } from '../../shared/vaults/recipients/escrow.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { backupKeyName } from '../../shared/vaults/secret-name.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { missingForPythonStorage, pythonWithAzureStorage } from '../backends/python-storage.ts';
import { findProgram, tempFolder } from '../backends/support.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { describeIf } from '../support/needs.ts';
import { countingInspector, inPieces, MIB, noise, TIME } from './support.ts';

const DATA = `prod/mongodb/${TIME}/data`;
/** Three frames, three regions, half of it compressible. */
const plain = Buffer.concat([noise(9 * MIB), Buffer.alloc(2 * MIB, 'chat message ')]);
const folder = tempFolder('format');
const privateKey = join(folder, 'private.pem');
const publicKey = join(folder, 'public.pem');

beforeAll(() => {
  const pair = generateKeyPairSync('rsa', {
    modulusLength: 3072,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(privateKey, pair.privateKey, { mode: 0o600 });
  writeFileSync(publicKey, pair.publicKey);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Writes the program that docs/format.md shows under that name. */
function fromTheDocument(name: string): string {
  const document = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8');
  const body = new RegExp(`\`\`\`[a-z]+ ${name.replace('.', '\\.')}\n([^]*?)\n\`\`\``).exec(document)?.[1];
  if (body === undefined) throw new Error(`docs/format.md has no program ${name}`);
  const file = join(folder, name);
  writeFileSync(file, `${body}\n`);
  return file;
}

async function run(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
  input?: Buffer,
): Promise<{ code: number | null; out: Buffer; errors: string }> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, out: Buffer.concat(out), errors };
}

async function backUp(store: Store, more: KeyRecipient[] = []): Promise<void> {
  await writeBackup({
    store,
    prefix: 'prod',
    component: 'mongodb',
    kind: 'mongodb',
    timestamp: TIME,
    recipients: [await EscrowRecipient.open({ publicKey }), ...more],
    source: inPieces(plain),
    newInspector: () => countingInspector(),
    facts: { source: { host: 'db.example.org' }, consistency: 'point-in-time' },
    tools: { lifeboat: '0.1.0' },
    owner: 'test',
  });
}

const withoutPython = missingForPythonStorage();
describeIf(withoutPython === undefined, withoutPython ?? '')("Microsoft's Python SDK and zstd", () => {
  let azurite: Azurite;
  let python: string;

  beforeAll(async () => {
    python = await pythonWithAzureStorage();
    azurite = await startAzurite();
  }, 300_000);
  afterAll(async () => {
    await azurite.stop();
  });

  test('open a backup from Azure Blob storage with the program in docs/format.md', async () => {
    const container = await azurite.createContainer('backups');
    await backUp(await openStore(container, { credential: () => azurite.credential }));
    const arguments_ = [fromTheDocument('open-backup.py'), azurite.sasUrl('backups', 'rl'), DATA, privateKey];
    const decrypted = await run(python, arguments_, { REQUESTS_CA_BUNDLE: azurite.certificate.certFile });
    expect(decrypted).toMatchObject({ code: 0, errors: '' });
    const unpacked = await run('zstd', ['-d', '-q', '-c'], {}, decrypted.out);
    expect(unpacked).toMatchObject({ code: 0, errors: '' });
    expect(unpacked.out.equals(plain)).toBe(true);
  });
});

const missing = ['bash', 'openssl', 'jq', 'xxd', 'zstd'].filter((name) => findProgram(name) === undefined);
describeIf(missing.length === 0, `needs ${missing.join(', ')} on PATH`)('openssl, jq and zstd', () => {
  const data = join(folder, 'data');
  const manifest = join(folder, 'manifest.json');

  test("open a backup with the program in docs/format.md, by the escrow's key and by the vault's, and refuse a changed one", async () => {
    const store = new MemoryStore();
    const vault = new FolderVault(join(folder, 'vault'));
    await backUp(store, [new SecretRecipient(vault)]);
    writeFileSync(data, store.bytes(DATA));
    writeFileSync(manifest, store.bytes(`prod/mongodb/${TIME}/manifest.json`));
    const fromTheVault = join(folder, 'key.txt');
    writeFileSync(fromTheVault, (await vault.get(backupKeyName('mongodb', TIME)))?.value ?? '', { mode: 0o600 });
    const script = fromTheDocument('open-backup.sh');
    for (const key of [privateKey, fromTheVault]) {
      const opened = await run('bash', [script, data, manifest, key]);
      expect(opened).toMatchObject({ code: 0, errors: '' });
      expect(opened.out.equals(plain)).toBe(true);
    }

    writeFileSync(manifest, store.bytes(`prod/mongodb/${TIME}/manifest.json`).toString().replace('db.example.org', 'db.example.net'));
    expect(await run('bash', [script, data, manifest, privateKey])).toMatchObject({ code: 1, errors: 'the manifest was changed\n' });
  });
});

// How the golden backups of format version 1 in test/fixtures/golden-v1 were made: `node test/campaign/golden.ts --write <new folder>`.
// They are made once per format version and never again: a reader that cannot open them any more is broken, not they.
// A new format version gets a folder of its own beside them; this script refuses a folder that is there.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EscrowRecipient } from '../../shared/vaults/recipients/escrow.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { backUp, smallArchive, timestamp } from './small-backup.ts';

/** One backup per way of compressing; frames of 1 KiB make several of a small archive. */
const BACKUPS = [
  { timestamp: timestamp('20241201_120000'), compression: { algorithm: 'zstd', frameBytes: 1024 } },
  { timestamp: timestamp('20241202_120000'), compression: { algorithm: 'none' } },
] as const;

const [flag, target] = process.argv.slice(2);
if (flag !== '--write' || target === undefined) {
  process.stderr.write('Usage: node test/campaign/golden.ts --write <new folder>\n');
  process.exit(2);
}
const folder = resolve(target);
if (existsSync(folder)) {
  process.stderr.write(`${folder} is there already. Golden backups are never made again: that they still open is their whole point.\n`);
  process.exit(1);
}

mkdirSync(folder, { recursive: true });
// A pair for tests alone: it protects nothing, and everybody may read it.
const pair = generateKeyPairSync('rsa', {
  modulusLength: 3072,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const publicKey = join(folder, 'escrow-public.pem');
writeFileSync(publicKey, pair.publicKey);
writeFileSync(join(folder, 'escrow-private.pem'), pair.privateKey);

const plain = await smallArchive(25);
const recipients = [new SecretRecipient(new FolderVault(join(folder, 'vault'))), await EscrowRecipient.open({ publicKey })];
const expected = [];
for (const backup of BACKUPS) {
  const { manifest } = await backUp({ store: new FolderStore(join(folder, 'store')), recipients }, { ...backup, plain });
  expected.push({
    timestamp: backup.timestamp,
    compression: backup.compression.algorithm,
    plainBytes: plain.length,
    plainSha256: createHash('sha256').update(plain).digest('hex'),
    storedSha256: manifest.sha256,
    content: manifest.content,
  });
}
// Locks and temporary files are no part of a backup.
for (const name of ['locks', 'temporary']) rmSync(join(folder, 'store', '.lifeboat', name), { recursive: true, force: true });
writeFileSync(join(folder, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
process.stderr.write(`Made ${BACKUPS.length} backups in ${folder}.\n`);

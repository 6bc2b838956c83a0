// Golden backups of format version 1: they open for ever, with every recipient, with and without their manifest.
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { COMPONENT, PREFIX, timestamp } from '../campaign/small-backup.ts';
import { contentKeyFromMetadata, decryptData } from '../../shared/backup/decrypt.ts';
import { openBackup, verifyBackup } from '../../shared/backup/read.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { EscrowRecipient } from '../../shared/vaults/recipients/escrow.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';

interface Golden {
  timestamp: string;
  compression: 'zstd' | 'none';
  plainBytes: number;
  plainSha256: string;
  storedSha256: string;
  content: unknown;
}

const fixture = fileURLToPath(new URL('../fixtures/golden-v1/', import.meta.url));
const goldens = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as Golden[];
const folder = mkdtempSync(join(tmpdir(), 'lifeboat-golden-'));
const store = new FolderStore(join(folder, 'store'));
let recipients: Record<'vault' | 'escrow', KeyRecipient>;

beforeAll(async () => {
  cpSync(fixture, folder, { recursive: true });
  // Git keeps no rights; a vault that others may read is refused.
  makePrivate(join(folder, 'vault'));
  recipients = {
    vault: new SecretRecipient(new FolderVault(join(folder, 'vault'))),
    escrow: await EscrowRecipient.open({ privateKey: join(folder, 'escrow-private.pem') }),
  };
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function makePrivate(path: string): void {
  chmodSync(path, 0o700);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) makePrivate(below);
    else chmodSync(below, 0o600);
  }
}

async function digestOf(stream: AsyncIterable<Uint8Array>): Promise<{ plainBytes: number; plainSha256: string }> {
  const hash = createHash('sha256');
  let plainBytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    plainBytes += chunk.length;
  }
  return { plainBytes, plainSha256: hash.digest('hex') };
}

test('there are golden backups, and all are listed as verified', async () => {
  expect(goldens.map(({ compression }) => compression)).toEqual(['zstd', 'none']);
  const listed = await listBackups(store, PREFIX);
  expect(listed.map((backup) => [backup.timestamp, backup.state])).toEqual(goldens.map((golden) => [golden.timestamp, 'verified']));
});

describe.each(goldens)('the golden backup $timestamp ($compression)', (golden) => {
  const { plainBytes, plainSha256, storedSha256, content } = golden;
  const place = { store, prefix: PREFIX, component: COMPONENT, timestamp: timestamp(golden.timestamp) };

  test.each(['vault', 'escrow'] as const)('opens with %s alone and is the same to the last byte', async (who) => {
    const request = { ...place, recipients: [recipients[who]] };
    const opened = await openBackup(request);
    expect(opened.manifest).toMatchObject({ formatVersion: 1, sha256: storedSha256, content });
    expect(opened.manifest.compression.algorithm).toBe(golden.compression);
    expect(await digestOf(opened.plain())).toEqual({ plainBytes, plainSha256 });
  });

  test('is proved, with an oplog and an empty collection in it', async () => {
    const { manifest, level } = await verifyBackup({ ...place, recipients: [recipients.vault], newInspector: newArchiveInspector });
    expect(level).toBe('full');
    expect(manifest.content).toEqual(content);
    expect(content).toMatchObject({ oplog: { entries: 1 }, totals: { namespaces: 4 } });
    expect(JSON.stringify(content)).toContain('"collection":"empty","type":"collection","documents":0');
  });

  test('opens without its manifest', async () => {
    const name = `${PREFIX}/${COMPONENT}/${golden.timestamp}/data`;
    const metadata = (await store.stat(name))?.metadata ?? {};
    const { contentKey } = await contentKeyFromMetadata(metadata, [recipients.escrow], place);
    expect(await digestOf(decryptData({ stored: store.open(name), contentKey, label: name }))).toEqual({ plainBytes, plainSha256 });
  });
});

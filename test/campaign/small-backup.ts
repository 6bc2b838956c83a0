// The small backup that the campaign damages: a real archive of a few documents, written by the real writer into any store.
import { join } from 'node:path';
import { verifyBackup, type VerifyResult } from '../../shared/backup/read.ts';
import { writeBackup, type BackupRequest, type BackupResult } from '../../shared/backup/write.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { BSON } from '../../shared/mongodb/bson.ts';
import { parseTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import type { Store } from '../../shared/stores/store.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';
import { buildArchive } from '../mongodb/archives.ts';

export const PREFIX = 'prod';
export const COMPONENT = 'mongodb';
export const TIME = timestamp('20241201_120000');

export function timestamp(text: string): Timestamp {
  const parsed = parseTimestamp(text);
  if (!parsed) throw new Error(`${text} is not a timestamp`);
  return parsed;
}

/** An archive with documents, an empty collection, a view, users and an oplog. @param documents of the largest collection */
export async function smallArchive(documents = 6): Promise<Buffer> {
  return buildArchive([
    {
      db: 'chat',
      collection: 'messages',
      documents: Array.from({ length: documents }, (_, index) => ({ _id: index, text: `grüß dich ${index}`, at: new Date(index * 1000) })),
      indexes: [
        { v: new BSON.Int32(2), key: { _id: new BSON.Int32(1) }, name: '_id_' },
        { v: new BSON.Int32(2), key: { at: new BSON.Int32(-1) }, name: 'at_-1', unique: true },
      ],
      perBlock: 4,
    },
    { db: 'chat', collection: 'empty', documents: [] },
    { db: 'chat', collection: 'recent', documents: [], type: 'view', indexes: [], options: { viewOn: 'messages', pipeline: [] } },
    { db: 'admin', collection: 'system.users', documents: [{ _id: 'admin.root', user: 'root' }] },
    {
      db: '',
      collection: 'oplog',
      documents: [{ op: 'i', ns: 'chat.messages', o: { _id: 99 }, ts: new BSON.Timestamp({ t: 1_700_000_000, i: 1 }) }],
    },
  ]);
}

export async function* inPieces(bytes: Uint8Array, pieceBytes = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield Buffer.from(bytes.subarray(at, at + pieceBytes));
}

/** A store with the people who can open what is in it. */
export interface World {
  store: Store;
  recipients: KeyRecipient[];
}

/** A store and a vault in folders below `root`. */
export function folderWorld(root: string): World {
  return {
    store: new FolderStore(join(root, 'store')),
    recipients: [new SecretRecipient(new FolderVault(join(root, 'vault')))],
  };
}

/** Writes a backup of `plain` (the small archive when absent). */
export async function backUp(world: World, overrides: Partial<BackupRequest> & { plain?: Uint8Array } = {}): Promise<BackupResult> {
  const { plain, ...request } = overrides;
  return writeBackup({
    ...world,
    prefix: PREFIX,
    component: COMPONENT,
    timestamp: TIME,
    kind: 'mongodb',
    source: inPieces(plain ?? (await smallArchive())),
    newInspector: newArchiveInspector,
    facts: { source: { host: 'db.example.org', version: '8.0.4' }, consistency: 'point-in-time' },
    tools: { lifeboat: '0.1.0' },
    owner: 'fault campaign',
    ...request,
  });
}

/** Proves a backup to its last byte, as a restore does before it touches anything. */
export async function prove(world: World, when: Timestamp = TIME, prefix = PREFIX, component = COMPONENT): Promise<VerifyResult> {
  return verifyBackup({ ...world, prefix, component, timestamp: when, newInspector: newArchiveInspector });
}

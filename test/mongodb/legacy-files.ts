// Old backups as the scripts before Lifeboat made them: with the real openssl, tar and gzip.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { BSON } from '../../shared/mongodb/bson.ts';
import { formatMetadata } from '../../shared/mongodb/collection-metadata.ts';

export interface DumpedCollection {
  db: string;
  collection: string;
  documents: BSON.Document[];
  indexes?: BSON.Document[];
  options?: BSON.Document;
  type?: string;
}

const ID_INDEX = { v: new BSON.Int32(2), key: { _id: new BSON.Int32(1) }, name: '_id_' };

/** Writes what `mongodump --out <folder>` writes. */
export function writeDumpFolder(folder: string, collections: readonly DumpedCollection[], options: { gzip?: boolean } = {}): void {
  const write = (name: string, bytes: Uint8Array): void => {
    const path = join(folder, options.gzip ? `${name}.gz` : name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, options.gzip ? gzipSync(bytes) : bytes);
  };
  write('prelude.json', Buffer.from('{"ServerVersion":"7.0.2","ToolVersion":"100.9.4"}'));
  for (const { db, collection, documents, indexes, options: created, type = 'collection' } of collections) {
    const base = `${db}/${encodeURIComponent(collection).replaceAll('%24', '$')}`;
    const metadata = formatMetadata({ options: created ?? {}, indexes: indexes ?? [ID_INDEX], collectionName: collection, type });
    if (type !== 'view') write(`${base}.bson`, Buffer.concat(documents.map((document) => BSON.serialize(document))));
    if (!collection.startsWith('system.buckets.')) write(`${base}.metadata.json`, Buffer.from(metadata));
  }
}

/** `tar -czf`, with whatever follows. */
export function tar(file: string, args: string[]): string {
  execFileSync('tar', ['-czf', file, ...args]);
  return file;
}

/** `openssl enc -aes-256-cbc -salt …`; returns the encrypted file. */
export function openssl(file: string, passphrase: string, args: string[]): string {
  const out = `${file}.enc`;
  const env = { ...process.env, OLD_PASSPHRASE: passphrase };
  execFileSync('openssl', ['enc', '-aes-256-cbc', '-salt', ...args, '-in', file, '-out', out, '-pass', 'env:OLD_PASSPHRASE'], {
    env,
    // The md-based form makes openssl print a warning.
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return out;
}

// The drill's data: the same for everyone, as large as asked for, and a real archive when written as one.
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { BSON } from '../../shared/mongodb/bson.ts';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { chatDataset, type Dataset, type DatasetOptions } from '../dataset/dataset.ts';
import { datasetArchive } from '../dataset/dataset-archive.ts';

const MIB = 2 ** 20;

describe('the chat data set', () => {
  test('is the same for the same seed and another one for another', () => {
    const digest = (options: DatasetOptions): string => {
      const hash = createHash('sha256');
      for (const piece of datasetArchive({ size: MIB, ...options })) hash.update(piece);
      return hash.digest('hex');
    };
    expect(digest({ seed: 'a' })).toBe(digest({ seed: 'a' }));
    expect(digest({ seed: 'a' })).not.toBe(digest({ seed: 'b' }));
  });

  test.each([1, 3, 10])('of %i MiB has that size within two per cent', (size) => {
    const { bytes } = totals(chatDataset({ size: size * MIB }));
    expect(Math.abs(bytes / (size * MIB) - 1)).toBeLessThan(0.02);
  });

  test('counts the bytes that are really sent', () => {
    for (const { documents, bytes } of chatDataset({ size: MIB }).batches()) {
      expect(documents.reduce((sum, document) => sum + BSON.serialize(document).length, 0)).toBe(bytes);
    }
  });

  test('has unique user names, rooms, chunks and ids, so that its unique indexes can be made', () => {
    const dataset = chatDataset({ size: 4 * MIB });
    const all = [...dataset.batches()];
    for (const collection of dataset.collections) {
      const documents = all.filter((batch) => batch.collection === collection).flatMap((batch) => batch.documents);
      for (const { key } of [{ key: { _id: 1 } }, ...collection.indexes.filter(({ unique }) => unique)]) {
        const values = documents.map((document) =>
          Object.keys(key)
            .map((field) => String(document[field]))
            .join('\n'),
        );
        expect(new Set(values).size).toBe(documents.length);
      }
    }
  });

  test('has uploads whose chunks add up to their files', () => {
    const dataset = chatDataset({ size: 6 * MIB });
    const lengths = new Map<string, number>();
    for (const { files_id, data } of documentsOf(dataset, 'drill_rocketchat', 'rocketchat_uploads.chunks')) {
      const id = String(files_id);
      lengths.set(id, (lengths.get(id) ?? 0) + (data as BSON.Binary).length());
    }
    const files = documentsOf(dataset, 'drill_rocketchat', 'rocketchat_uploads.files');
    expect(files.length).toBeGreaterThan(3);
    for (const { _id, length } of files) expect(lengths.get(String(_id))).toBe(Number(length));
  });

  test('leaves one collection empty and uses no name outside its prefix', () => {
    const dataset = chatDataset({ size: MIB, prefix: 'mine_' });
    expect(dataset.databases).toEqual(['mine_audit', 'mine_rocketchat', 'mine_архив']);
    expect(documentsOf(dataset, 'mine_rocketchat', 'rocketchat_livechat_inquiry')).toEqual([]);
  });

  test('leaves out what the server does not keep', () => {
    const dataset = chatDataset({ size: MIB, traits: { unicodeDatabases: false, samples: new Set(['double']) } });
    expect(dataset.databases).toContain('drill_archive');
    const samples = documentsOf(dataset, 'drill_rocketchat', 'rocketchat_settings').filter(({ _id }) => String(_id).startsWith('sample-'));
    expect(samples.map(({ type }) => type as string)).toEqual(['double']);
  });
});

test('its archive passes the inspector with the same counts', async () => {
  const inspector = newArchiveInspector();
  for (const piece of datasetArchive({ size: 4 * MIB })) await inspector.write(piece);
  const { namespaces } = (await inspector.end()) as unknown as { namespaces: { documents: number; bytes: number }[] };
  const { documents, bytes } = totals(chatDataset({ size: 4 * MIB }));
  expect(namespaces).toHaveLength(10);
  expect(namespaces.reduce((sum, each) => sum + each.documents, 0)).toBe(documents);
  expect(namespaces.reduce((sum, each) => sum + each.bytes, 0)).toBe(bytes);
});

function totals(dataset: Dataset): { documents: number; bytes: number } {
  const sum = { documents: 0, bytes: 0 };
  for (const { documents, bytes } of dataset.batches()) {
    sum.documents += documents.length;
    sum.bytes += bytes;
  }
  return sum;
}

function documentsOf(dataset: Dataset, db: string, collection: string): BSON.Document[] {
  return [...dataset.batches()]
    .filter((batch) => batch.collection.db === db && batch.collection.collection === collection)
    .flatMap(({ documents }) => documents);
}

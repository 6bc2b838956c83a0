// What somebody could put in our way on purpose: strange names, manifests made to hurt, compressed data that explode.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { newContentKey, wrapForAll } from '../../shared/backup/content-key.ts';
import { REGION_BYTES, RegionEncoder } from '../../shared/backup/encryption.ts';
import { backupNames } from '../../shared/backup/layout.ts';
import { parseManifest, serializeManifest, type Manifest } from '../../shared/backup/manifest.ts';
import { dataMetadata, manifestMetadata } from '../../shared/backup/metadata.ts';
import type { ArchiveReport } from '../../shared/mongodb/archive-inspector.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openStore } from '../../shared/stores/open.ts';
import { startAzurite } from '../backends/azurite.ts';
import { buildArchive } from '../mongodb/archives.ts';
import type { Part, Trial } from './part.ts';
import { folderWorld, backUp, COMPONENT, PREFIX, prove, smallArchive, TIME, type World } from './small-backup.ts';

const MIB = 1024 * 1024;

/** Names that databases, file systems and URLs read differently. */
const STRANGE = [
  'with/slash',
  'with.dots..inside',
  'line\nbreak',
  'tab\tand\u0000null',
  '..',
  '.',
  '-rf',
  '%2e%2e%2f',
  'quote\'"`$(id)',
  'ünïcode/🛟',
  '\u202eright-to-left',
  '🛟'.repeat(63) + 'abc',
  'a'.repeat(255),
  '__proto__',
  'constructor',
  '1',
];

export const names: Part = {
  name: 'names',
  what: 'collections and objects named with slashes, dots, newlines, 255 bytes of unicode, __proto__',
  async run(trial) {
    await strangeCollections(trial);
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('names');
      for (const store of [
        new FolderStore(join(trial.folder, 'objects', 'store')),
        await openStore(address, { credential: () => azurite.credential }),
      ]) {
        for (const name of STRANGE) await strangeObject(trial, store, `below/${name}`);
      }
    } finally {
      await azurite.stop();
    }
    trial.holds('something was written outside of the store', readdirSync(join(trial.folder, 'objects')).join() === 'store');
  },
};

/** Whatever a collection is called, its documents are counted and proved under that very name. */
async function strangeCollections(trial: Trial): Promise<void> {
  const archive = await buildArchive(
    STRANGE.filter((name) => !name.includes('\u0000')).map((collection, index) => ({
      db: 'chat',
      collection,
      documents: Array.from({ length: index + 1 }, (_, id) => ({ _id: id })),
    })),
  );
  const world = folderWorld(join(trial.folder, 'collections'));
  const proved = await trial.survives('strange collections', async () => {
    await backUp(world, { plain: archive });
    return prove(world);
  });
  const found = new Map((proved?.manifest.content as ArchiveReport | undefined)?.namespaces.map((one) => [one.collection, one.documents]));
  for (const [index, name] of STRANGE.filter((one) => !one.includes('\u0000')).entries()) {
    trial.holds(`${JSON.stringify(name)} holds ${found.get(name) ?? 'nothing'}`, found.get(name) === index + 1);
  }
}

/** A store keeps a name exactly, or refuses it; it never writes elsewhere. */
async function strangeObject(trial: Trial, store: World['store'], name: string): Promise<void> {
  const label = `${store.kind}: ${JSON.stringify(name)}`;
  const content = Buffer.from(name);
  try {
    await store.write(name, content);
  } catch (thrown) {
    trial.judge(label, { kinds: ['failed'], names: /name/ }, thrown);
    return;
  }
  const listed: string[] = [];
  for await (const info of store.list('below/')) listed.push(info.name);
  const read = await store.read(name);
  trial.holds(`${label} is listed as ${JSON.stringify(listed)}`, listed.length === 1 && listed[0] === name);
  trial.holds(`${label} reads back differently`, read !== undefined && content.equals(read));
  await store.delete(name);
}

export const manifests: Part = {
  name: 'manifests',
  what: "hostile manifests: .. in names, sizes of 2^53, deep nesting, a million namespaces, another backup's key",
  async run(trial) {
    const folder = folderWorld(join(trial.folder, 'store'));
    const { manifest } = await backUp(folder);
    await readHostile(trial, folder, manifest);
    await manyNamespaces(trial, manifest);
    if (!trial.full) return;
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('manifests');
      const blob = { ...folder, store: await openStore(address, { credential: () => azurite.credential }) };
      await readHostile(trial, blob, (await backUp(blob)).manifest);
    } finally {
      await azurite.stop();
    }
  },
};

/** Every hostile manifest in the place of the good one: refused, in bounded time and memory. */
async function readHostile(trial: Trial, world: World, manifest: Manifest): Promise<void> {
  const name = backupNames(PREFIX, COMPONENT, TIME).manifest;
  const good = Buffer.from((await world.store.read(name)) ?? '');
  const metadata = (await world.store.stat(name))?.metadata ?? {};
  for (const [hostile, text] of hostileManifests(manifest, good.toString())) {
    const label = `${world.store.kind}: ${hostile}`;
    await world.store.write(name, Buffer.from(text), { metadata: { ...metadata } });
    const started = performance.now();
    const before = process.memoryUsage().rss;
    await trial.refused(label, { kinds: ['verification'], names: new RegExp(TIME) }, () => prove(world));
    const seconds = (performance.now() - started) / 1000;
    const grown = (process.memoryUsage().rss - before) / MIB;
    trial.holds(`${label}: took ${seconds.toFixed(1)} s and ${Math.round(grown)} MiB`, seconds < 20 && grown < 1024, 'detected');
  }
  await world.store.write(name, good, { metadata: { ...metadata } });
  await trial.survives(`${world.store.kind}: the manifest put back`, () => prove(world));
}

function* hostileManifests(manifest: Manifest, good: string): Generator<[label: string, text: string]> {
  const hmac = 'a'.repeat(64);
  const text = (changes: object): string => `${JSON.stringify({ ...manifest, ...changes, hmac }, null, 2)}\n`;
  for (const component of ['..', '../../etc', 'a/../../b', 'mongodb\n', 'MONGODB', '__proto__']) {
    yield [`component ${JSON.stringify(component)}`, text({ component })];
  }
  yield ['timestamp with ..', text({ timestamp: '../../../../tmp' })];
  for (const size of [2 ** 53, 2 ** 53 - 1, -1, 0.5, 1e308, '1', null]) {
    yield [`plain size ${String(size)}`, text({ sizes: { ...manifest.sizes, plain: size } })];
    yield [`stored size ${String(size)}`, text({ sizes: { ...manifest.sizes, stored: size } })];
  }
  const frames = { algorithm: 'zstd', level: 3, frames: 1 };
  yield ['frames of 2^53 bytes', text({ compression: { ...frames, frameBytes: 2 ** 53 } })];
  yield ['frames of 0 bytes', text({ compression: { ...frames, frameBytes: 0 } })];
  yield ['2^53 regions', text({ encryption: { ...manifest.encryption, regions: 2 ** 53 } })];
  yield ['format version 2', text({ formatVersion: 2 })];
  yield ['format version 2^53', text({ formatVersion: 2 ** 53 })];
  yield ['no key recipients', text({ keyRecipients: [] })];
  yield ['a thousand key recipients', text({ keyRecipients: Array.from({ length: 1000 }, () => manifest.keyRecipients[0]) })];
  yield [
    'a key id with ..',
    text({ keyRecipients: manifest.keyRecipients.map((key) => ({ ...key, keyId: '../../../etc/000001-0000000000000000' })) }),
  ];
  yield ['a content that was swapped', text({ content: { totals: { documents: 1 } } })];
  yield ['a prototype', good.replace('{', '{ "__proto__": { "polluted": true },')];
  yield ['nested 100,000 deep', text({}).replace('"content"', `"deep": ${'['.repeat(100_000)}${']'.repeat(100_000)},\n  "content"`)];
  yield ['an endless string', `{ "formatVersion": "${'1'.repeat(30 * MIB)}" }`];
  yield ['larger than any manifest', ' '.repeat(33 * MIB)];
  const namespace = { db: 'a', collection: 'b', documents: 0 };
  yield ['a million namespaces', text({ content: { namespaces: Array.from({ length: 1_000_000 }, () => namespace) } })];
  yield ['300,000 empty namespaces', text({ content: { namespaces: Array.from({ length: 300_000 }, () => ({})) } })];
  yield ['not UTF-8', Buffer.from(good).toString('latin1').replace('"kind"', '"k\u00ff"')];
  yield ['nothing', ''];
  yield ['null', 'null'];
}

/** An honest backup of very many collections opens in seconds; one over the limit is refused when it is written, not when it is needed. */
async function manyNamespaces(trial: Trial, manifest: Manifest): Promise<void> {
  const key = newContentKey();
  const entry = (manifest.content as ArchiveReport).namespaces[0];
  const content = (count: number) => ({ namespaces: Array.from({ length: count }, (_, index) => ({ ...entry, collection: `c${index}` })) });
  const started = performance.now();
  await trial.survives('30,000 namespaces', async () => {
    parseManifest(serializeManifest({ ...manifest, content: content(30_000) }, key), 'many').checkHmac(key);
  });
  trial.holds('30,000 namespaces take longer than 20 s', performance.now() - started < 20_000);
  await trial.refused('a million namespaces', { kinds: ['failed'], names: /more than a manifest may have/ }, async () =>
    serializeManifest({ ...manifest, content: content(1_000_000) }, key),
  );
}

export const bombs: Part = {
  name: 'bombs',
  what: 'zip bombs behind a valid key: frames that claim little, claim hugely, or never end',
  async run(trial) {
    const rle = (blocks: number, last = true): Buffer[] =>
      Array.from({ length: blocks }, (_, index) => {
        const header = (131_072 << 3) | 2 | Number(last && index === blocks - 1);
        return Buffer.from([header & 255, (header >> 8) & 255, (header >> 16) & 255, 0]);
      });
    const small = Buffer.from('28b52ffd200a', 'hex');
    const huge = Buffer.concat([Buffer.from('28b52ffde0', 'hex'), Buffer.from('0000000000000400', 'hex')]);
    const honest = zstdCompressSync(Buffer.alloc(64 * MIB));
    const frames: [label: string, stream: Buffer, plain: number][] = [
      ['claims 10 bytes, expands to 1 GiB', Buffer.concat([small, ...rle(8192)]), 10],
      ['claims 10 bytes, has a million empty blocks', Buffer.concat([small, Buffer.alloc(3_000_000)]), 10],
      ['claims 2^50 bytes', Buffer.concat([huge, ...rle(10)]), 10],
      ['claims 2^50 bytes, as does the manifest', Buffer.concat([huge, ...rle(10)]), 2 ** 50],
      ['does not say how large it is', Buffer.concat([Buffer.from('28b52ffd0080', 'hex'), ...rle(8192)]), 10],
      ['is one of a hundred of 64 MiB, as the manifest says', Buffer.concat(Array.from({ length: 100 }, () => honest)), 6400 * MIB],
    ];
    for (const [label, stream, plain] of frames) {
      const world = folderWorld(join(trial.folder, label.replaceAll(/\W+/g, '-')));
      await plant(world, stream, plain);
      const before = process.memoryUsage().rss;
      const started = performance.now();
      await trial.refused(`a frame that ${label}`, { kinds: ['verification'], names: /20241201_120000/ }, () => prove(world));
      const grown = (process.memoryUsage().rss - before) / MIB;
      const seconds = (performance.now() - started) / 1000;
      trial.holds(
        `a frame that ${label} took ${Math.round(grown)} MiB and ${seconds.toFixed(1)} s`,
        grown < 600 && seconds < 20,
        'detected',
      );
    }
  },
};

/** Stores a hostile stream as a backup that is right in every other way: encrypted, described, signed with its own key. */
async function plant(world: World, compressed: Buffer, plainBytes: number): Promise<void> {
  const { manifest: like } = await backUp(world, { plain: await smallArchive() });
  const names = backupNames(PREFIX, COMPONENT, TIME);
  await world.store.delete(names.manifest);
  await world.store.delete(names.data);
  const key = newContentKey();
  const keyRecipients = await wrapForAll(key, world.recipients, { component: COMPONENT, timestamp: TIME });
  const encoder = new RegionEncoder(key);
  const stored = Buffer.concat([...encoder.update(compressed), ...encoder.end()]);
  const frameBytes = 64 * MIB;
  const manifest: Manifest = {
    ...like,
    keyRecipients,
    compression: { algorithm: 'zstd', level: 3, frameBytes, frames: Math.max(1, Math.ceil(plainBytes / frameBytes)) },
    encryption: { protocol: '2.0', algorithm: 'AES_GCM_256', regionBytes: REGION_BYTES, regions: encoder.regions },
    sizes: { plain: plainBytes, compressed: encoder.compressedBytes, stored: encoder.storedBytes },
    sha256: encoder.sha256(),
  };
  await world.store.write(names.data, stored, { metadata: dataMetadata(manifest, 'hostile') });
  await world.store.write(names.manifest, serializeManifest(manifest, key), { metadata: manifestMetadata(manifest) });
}

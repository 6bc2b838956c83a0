// Bit rot and cut files: every byte flipped and every truncation of everything that a stored backup consists of.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockBlobClient } from '@azure/storage-blob';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import { sidecarFolder } from '../../shared/stores/folder/sidecar.ts';
import { openStore } from '../../shared/stores/open.ts';
import { startAzurite } from '../backends/azurite.ts';
import type { Expected, Part, Trial } from './part.ts';
import { folderWorld, backUp, inPieces, prove, smallArchive, type World } from './small-backup.ts';

/** Something stored that can be put back changed. */
interface Thing {
  name: string;
  bytes: Buffer;
  put(bytes: Buffer): void | Promise<void>;
  expected: Expected;
  /** Changes that leave the backup what it was may pass, when the proof goes through: white space, fields that nobody reads. */
  harmlessAllowed?: boolean;
}

const DATA = 'prod/mongodb/20241201_120000/data';
const MANIFEST = 'prod/mongodb/20241201_120000/manifest.json';
const DAMAGED: Expected = { kinds: ['verification'], names: /20241201_120000/ };

export const damageFolder: Part = {
  name: 'damage-folder',
  what: 'every byte flipped and every cut of data, manifest and metadata in a folder',
  async run(trial) {
    for (const compression of [{ algorithm: 'zstd' }, { algorithm: 'none' }] as const) {
      const root = join(trial.folder, compression.algorithm);
      const world = folderWorld(root);
      await backUp(world, { compression });
      for (const name of [DATA, MANIFEST]) {
        await damage(trial, world, { ...file(join(root, 'store', name)), name, expected: { ...DAMAGED, names: new RegExp(name) } });
      }
      for (const name of [DATA, MANIFEST]) {
        const sidecar = onlyFile(sidecarFolder(join(root, 'store'), name));
        await damage(trial, world, { ...file(sidecar), name: `metadata of ${name}`, expected: DAMAGED, harmlessAllowed: true });
      }
    }
  },
};

export const damageArchive: Part = {
  name: 'damage-archive',
  what: 'every byte flipped and every cut of the plain archive, before it is a backup',
  async run(trial) {
    const archive = await smallArchive();
    const read = async (bytes: Uint8Array): Promise<string> => {
      const inspector = newArchiveInspector();
      for await (const piece of inPieces(bytes, 333)) await inspector.write(piece);
      return JSON.stringify(await inspector.end());
    };
    const whole = await read(archive);
    // What the archive itself does not guard (its prelude) must at least give another report: the manifest holds the true one.
    for (const at of trial.places(archive.length, 400)) {
      await flipped(trial, archive, at, async (bytes, label) => {
        await trial.refused(label, { kinds: ['verification'], names: /./ }, async () => {
          if ((await read(bytes)) !== whole) throw new Differs('the report differs from the manifest');
        });
      });
    }
    for (const length of trial.places(archive.length, 400)) {
      await trial.refused(`archive cut at ${length}`, { kinds: ['verification'] }, () => read(archive.subarray(0, length)));
    }
  },
};

export const damageBlob: Part = {
  name: 'damage-blob',
  what: 'every byte flipped and every cut of data, manifest and metadata in Azure Blob (Azurite)',
  async run(trial) {
    const azurite = await startAzurite();
    try {
      const address = await azurite.createContainer('damage');
      const store = await openStore(address, { credential: () => azurite.credential });
      const world = { store, recipients: folderWorld(trial.folder).recipients };
      await backUp(world);
      for (const name of [DATA, MANIFEST]) {
        const blob = new BlockBlobClient(`${address}/${name}`, azurite.credential);
        const metadata = { ...(await store.stat(name))?.metadata };
        const bytes = await blob.downloadToBuffer();
        const put = async (changed: Buffer): Promise<void> => {
          await blob.upload(changed, changed.length, { metadata });
        };
        await damage(trial, world, { name, bytes, put, expected: { ...DAMAGED, names: new RegExp(name) } }, 25);
        await damageMetadata(trial, world, blob, metadata, name);
      }
    } finally {
      await azurite.stop();
    }
  },
};

/** A report that is not the manifest's, where the archive has no checksum of its own. */
class Differs extends VerificationError {}

/** Metadata that do not matter to anybody but the run that wrote them. */
const UNREAD = new Set(['attempt', 'origin']);

async function damageMetadata(
  trial: Trial,
  world: World,
  blob: BlockBlobClient,
  metadata: Record<string, string>,
  name: string,
): Promise<void> {
  for (const [key, value] of Object.entries(metadata)) {
    if (UNREAD.has(key)) continue;
    const bytes = Buffer.from(value);
    for (const at of trial.places(bytes.length, 4)) {
      const changed = Buffer.from(bytes);
      // Headers carry printable ASCII only: another letter stands for another bit.
      changed[at] = bytes[at] === 0x78 ? 0x79 : 0x78;
      await blob.setMetadata({ ...metadata, [key]: changed.toString() });
      await trial.refused(`metadata ${key} of ${name}, letter ${at}`, { ...DAMAGED, names: new RegExp(key) }, () => prove(world));
    }
    const rest = Object.fromEntries(Object.entries(metadata).filter(([other]) => other !== key));
    await blob.setMetadata(rest);
    await trial.refused(`metadata ${key} of ${name} lost`, { ...DAMAGED, names: new RegExp(key) }, () => prove(world));
  }
  await blob.setMetadata(metadata);
  await trial.survives(`${name} with its metadata put back`, () => prove(world));
}

/** Flips and cuts one thing, proving the backup each time; puts it back and proves that it is good again. */
export async function damage(trial: Trial, world: World, thing: Thing, some = 120): Promise<void> {
  const { bytes, name, expected } = thing;
  const attempt = async (changed: Buffer, label: string): Promise<void> => {
    await thing.put(changed);
    if (!thing.harmlessAllowed) {
      await trial.refused(label, expected, () => prove(world));
      return;
    }
    try {
      await prove(world);
      trial.survive();
    } catch (thrown) {
      trial.judge(label, expected, thrown);
    }
  };
  for (const at of trial.places(bytes.length, some)) {
    await flipped(trial, bytes, at, (changed, label) => attempt(changed, `${name}: ${label}`));
  }
  for (const length of trial.places(bytes.length, some)) await attempt(bytes.subarray(0, length), `${name} cut at ${length}`);
  await thing.put(bytes);
  await trial.survives(`${name} put back`, () => prove(world));
}

/** Flips one bit of a byte, any of the eight; when everything is tried, all bits at once as well. */
export async function flipped(
  trial: Trial,
  bytes: Buffer,
  at: number,
  attempt: (changed: Buffer, label: string) => Promise<void>,
): Promise<void> {
  const masks = trial.full ? [1 << trial.random.below(8), 0xff] : [1 << trial.random.below(8)];
  for (const mask of masks) {
    const changed = Buffer.from(bytes);
    changed[at] = (bytes[at] as number) ^ mask;
    await attempt(changed, `byte ${at} ^ ${mask}`);
  }
}

export function file(path: string): Pick<Thing, 'bytes' | 'put'> {
  return {
    bytes: readFileSync(path),
    put: (bytes) => {
      writeFileSync(path, bytes);
    },
  };
}

export function onlyFile(folder: string): string {
  const files = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
  const [only] = files;
  if (files.length !== 1 || only === undefined) throw new Error(`${folder} holds ${files.length} files instead of one`);
  return join(folder, only);
}

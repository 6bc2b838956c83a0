// A backup into Azurite against the SDK's own upload of the finished object, both in processes of their own.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { BlockBlobClient } from '@azure/storage-blob';
import { startAzurite } from '../backends/azurite.ts';
import type { Group } from './bench.ts';
import { contest, describeContest, pipeline, timesFaster } from './contest.ts';

const OURS = 'lifeboat';
const SDK = 'SDK upload';

export const azureRow: Group = async (bench) => {
  const folder = join(bench.folder, 'azure');
  const vault = join(folder, 'vault');
  await pipeline(['backup', bench.archive, folder, vault, 'none']);
  const finished = join(folder, 'bench/mongodb/20260101_000000/data');
  const azurite = await startAzurite({ folder: join(bench.folder, 'azurite') });
  try {
    await azurite.createContainer('bench');
    const env = { NODE_EXTRA_CA_CERTS: azurite.certificate.certFile };
    const address = azurite.sasUrl('bench', 'racwdl');
    const blobUrl = address.replace('/bench?', '/bench/uploaded?');
    const ours = address.replace('/bench?', '/bench/ours?');
    const names = ['data', 'manifest.json'].map((file) => `ours/bench/mongodb/20260101_000000/${file}`);
    const remove = async (name: string): Promise<void> => {
      await new BlockBlobClient(address.replace('/bench?', `/bench/${name}?`)).deleteIfExists();
    };
    const results = await contest(
      [
        {
          name: OURS,
          run: async () => pipeline(['backup', bench.archive, ours, vault, 'none'], { env }),
          clean: async () => {
            for (const name of names) await remove(name);
          },
        },
        { name: SDK, run: async () => pipeline(['upload', finished, blobUrl], { env }), clean: () => remove('uploaded') },
      ],
      bench.rounds,
      bench.say,
    );
    return { 'azure-backup-vs-upload': { value: timesFaster(results, OURS, SDK), figures: describeContest(results, bench.bytes) } };
  } finally {
    await azurite.stop();
    rmSync(folder, { recursive: true, force: true });
  }
};

// One backup or one read of a backup in a process of its own, so that its time and memory are nobody else's. Prints what it measured as JSON.
// node test/benchmarks/pipeline.ts backup <archive or -> <store> <vault folder> <none|full>
// node test/benchmarks/pipeline.ts restore <store> <vault folder>
// node test/benchmarks/pipeline.ts upload <file> <blob's address with a SAS>
import { open, stat } from 'node:fs/promises';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { openBackup } from '../../shared/backup/read.ts';
import { firstDifference } from '../../shared/backup/json-difference.ts';
import { writeBackup } from '../../shared/backup/write.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';
import { openStore } from '../../shared/stores/open.ts';
import { releasing } from '../../shared/tools/release.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import { peakMemory } from './peak-memory.ts';

const READ_BYTES = 1 << 20;
const NAME = { prefix: 'bench', component: 'mongodb', timestamp: formatTimestamp(new Date(Date.UTC(2026, 0, 1))) };

/** Reads a file ahead into two buffers in turn, as `writeBackup` allows: its input may be reused when the next piece is asked for. */
async function* readThrough(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path);
  try {
    const buffers = [Buffer.allocUnsafeSlow(READ_BYTES), Buffer.allocUnsafeSlow(READ_BYTES)] as const;
    let ahead = file.read(buffers[0], 0, READ_BYTES);
    for (let turn = 1; ; turn ^= 1) {
      const { bytesRead, buffer } = await ahead;
      if (bytesRead === 0) return;
      ahead = file.read(buffers[turn as 0 | 1], 0, READ_BYTES);
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** What a run measured. */
export interface PipelineResult {
  /** Bytes of the archive, and of the stored object. */
  plainBytes: number;
  storedBytes: number;
  /** From the first to the last byte, without the start of the process. */
  seconds: number;
  /** User and system, of all threads, for the same time. */
  cpuSeconds: number;
  /** The largest resident set of the whole process. */
  peakBytes: number;
}

async function measured(work: () => Promise<{ plainBytes: number; storedBytes: number }>): Promise<PipelineResult> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const sizes = await work();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { ...sizes, seconds, cpuSeconds: (user + system) / 1e6, peakBytes: peakMemory() };
}

async function backup(archive: string, address: string, vault: string, verify: string): Promise<PipelineResult> {
  const store = await openStore(address);
  const recipients = [new SecretRecipient(new FolderVault(vault))];
  return measured(async () => {
    const source = archive === '-' ? releasing(process.stdin) : readThrough(archive);
    const { manifest } = await writeBackup({
      ...NAME,
      store,
      recipients,
      source,
      kind: 'mongodb',
      newInspector: newArchiveInspector,
      facts: { source: { host: 'bench' }, consistency: 'point-in-time' },
      tools: {},
      verify: verify === 'full' ? 'full' : 'none',
      owner: 'bench',
    });
    return { plainBytes: manifest.sizes.plain, storedBytes: manifest.sizes.stored };
  });
}

async function restore(address: string, vault: string): Promise<PipelineResult> {
  const store = await openStore(address);
  const recipients = [new SecretRecipient(new FolderVault(vault))];
  return measured(async () => {
    const opened = await openBackup({ ...NAME, store, recipients });
    const { manifest } = opened;
    const inspector = newArchiveInspector();
    for await (const chunk of opened.plain({ reuse: true })) await inspector.write(chunk);
    const difference = firstDifference(manifest.content, await inspector.end());
    if (difference !== undefined) throw new Error(difference);
    return { plainBytes: manifest.sizes.plain, storedBytes: manifest.sizes.stored };
  });
}

/** The baseline of backups to Azure: nothing but the SDK, with its own choice of block size and parallel requests. */
async function upload(file: string, url: string): Promise<PipelineResult> {
  const { BlockBlobClient } = await import('@azure/storage-blob');
  const { size } = await stat(file);
  return measured(async () => {
    await new BlockBlobClient(url).uploadFile(file);
    return { plainBytes: size, storedBytes: size };
  });
}

if (import.meta.main) {
  const [task, first = '', second = '', third = '', fourth = ''] = process.argv.slice(2);
  const result =
    task === 'restore'
      ? await restore(first, second)
      : task === 'upload'
        ? await upload(first, second)
        : await backup(first, second, third, fourth);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

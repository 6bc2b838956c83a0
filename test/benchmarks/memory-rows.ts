// Peak memory of a backup and of reading one, for the archive and for eight times as much, streamed through a pipe.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Group } from './bench.ts';
import { pipeline } from './contest.ts';
import type { PipelineResult } from './pipeline.ts';

const COPIES = 8;
const REPEAT = fileURLToPath(new URL('repeat-archive.ts', import.meta.url));

export const memoryRows: Group = async (bench) => {
  const run = async (copies: number): Promise<{ backup: PipelineResult; restore: PipelineResult }> => {
    const store = join(bench.folder, `memory-${copies}-store`);
    const vault = join(bench.folder, `memory-${copies}-vault`);
    const feed = [process.execPath, '--disable-warning=ExperimentalWarning', REPEAT, bench.archive, String(copies)];
    const backup = await pipeline(['backup', '-', store, vault, 'full'], { feed });
    bench.say(`backup of ${copies} copies: ${describe(backup)}`);
    const restore = await pipeline(['restore', store, vault]);
    bench.say(`restore of ${copies} copies: ${describe(restore)}`);
    for (const folder of [store, vault]) rmSync(folder, { recursive: true, force: true });
    return { backup, restore };
  };
  const one = await run(1);
  const many = await run(COPIES);
  const growth = (task: 'backup' | 'restore'): number => Math.abs(many[task].peakBytes / one[task].peakBytes - 1) * 100;
  const peak = (result: PipelineResult) => ({ value: result.peakBytes / 2 ** 20, figures: describe(result) });
  const both = (task: 'backup' | 'restore'): string => `${mebibytes(one[task])} and ${mebibytes(many[task])} MiB`;
  return {
    'backup-memory': peak(one.backup),
    'backup-memory-8': peak(many.backup),
    'backup-memory-growth': { value: growth('backup'), figures: both('backup') },
    'restore-memory': peak(one.restore),
    'restore-memory-8': peak(many.restore),
    'restore-memory-growth': { value: growth('restore'), figures: both('restore') },
  };
};

function mebibytes({ peakBytes }: PipelineResult): string {
  return (peakBytes / 2 ** 20).toFixed(0);
}

function describe(result: PipelineResult): string {
  return `${(result.plainBytes / 2 ** 30).toFixed(2)} GiB in ${result.seconds.toFixed(1)} s, peak ${mebibytes(result)} MiB`;
}

// Backup and restore against the programs that people use today, all on files of this machine.
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { restic } from '../backends/restic.ts';
import { findProgram, runProgram } from '../backends/support.ts';
import { tinyArchive } from './archives.ts';
import type { Bench, Group } from './bench.ts';
import { contest, describeContest, median, pipeline, timedShell, timesFaster, type Contender, type Contest } from './contest.ts';
import type { Measured, RowName } from './rows.ts';

const OURS = 'lifeboat';
const TINY_DOCUMENTS = 2_000_000;

/** A contender, or why it cannot take part. */
type Entry = Contender | { missing: string };

export const backupRows: Group = async (bench) => {
  const others: Partial<Record<RowName, () => Promise<Entry>>> = {
    'backup-vs-seeds': () => Promise.resolve(seedsWay(bench)),
    'backup-vs-zstd': () => Promise.resolve(zstdWay(bench)),
    'backup-vs-restic': () => resticWay(bench),
  };
  return against(bench, others, ourBackup(bench, bench.archive, 'chat'));
};

export const restoreRows: Group = async (bench) => {
  const others: Partial<Record<RowName, () => Promise<Entry>>> = {
    'restore-vs-zstd': () => zstdBack(bench),
    'restore-vs-restic': () => resticBack(bench),
  };
  const { store, vault } = places(bench, 'stored');
  await pipeline(['backup', bench.archive, store, vault, 'none']);
  const rows = await against(bench, others, { name: OURS, run: () => pipeline(['restore', store, vault]) });
  for (const folder of [store, vault]) rmSync(folder, { recursive: true, force: true });
  return rows;
};

/** Holds one contest of the wanted rows' programs and us. */
async function against(
  bench: Bench,
  others: Partial<Record<RowName, () => Promise<Entry>>>,
  ours: Contender,
): Promise<Partial<Record<RowName, Measured>>> {
  const rows: Partial<Record<RowName, Measured>> = {};
  const present: [RowName, Contender][] = [];
  for (const [name, open] of Object.entries(others) as [RowName, () => Promise<Entry>][]) {
    if (!bench.wanted.has(name)) continue;
    const entry = await open();
    if ('missing' in entry) rows[name] = { skipped: entry.missing };
    else present.push([name, entry]);
  }
  if (present.length === 0) return rows;
  const results = await contest([ours, ...present.map(([, contender]) => contender)], bench.rounds, bench.say);
  for (const [name, { name: theirs }] of present) rows[name] = ratio(results, theirs, bench.bytes);
  return rows;
}

function ratio(results: Contest, theirs: string, bytes: number): Measured {
  return { value: timesFaster(results, OURS, theirs), figures: describeContest(results, bytes, [OURS, theirs]) };
}

function places(bench: Bench, name: string): { store: string; vault: string } {
  return { store: join(bench.folder, `${name}-store`), vault: join(bench.folder, `${name}-vault`) };
}

function ourBackup(bench: Bench, archive: string, name: string): Contender {
  const { store, vault } = places(bench, name);
  return {
    name: OURS,
    reads: archive,
    run: () => pipeline(['backup', archive, store, vault, 'none']),
    clean: () => {
      for (const folder of [store, vault]) rmSync(folder, { recursive: true, force: true });
    },
  };
}

function seedsWay({ archive, folder }: Bench): Entry {
  const missing = ['gzip', 'openssl'].find((name) => findProgram(name) === undefined);
  if (missing !== undefined) return { missing: `${missing} is not installed` };
  const file = join(folder, 'seeds.gz.enc');
  const script = 'gzip < "$1" | openssl enc -aes-256-cbc -pbkdf2 -pass env:BENCH_PASSWORD > "$2"';
  return {
    name: 'gzip | openssl',
    reads: archive,
    run: () => timedShell(script, [archive, file], { BENCH_PASSWORD: 'bench' }),
    clean: () => {
      rmSync(file, { force: true });
    },
    noWarmUp: true,
  };
}

function zstdWay({ archive, folder }: Bench): Entry {
  if (findProgram('zstd') === undefined) return { missing: 'zstd is not installed' };
  const file = join(folder, 'archive.zst');
  return {
    name: 'zstd -3 -T0',
    reads: archive,
    run: () => timedShell('zstd -q -3 -T0 < "$1" > "$2"', [archive, file]),
    clean: () => {
      rmSync(file, { force: true });
    },
  };
}

async function zstdBack({ archive, folder }: Bench): Promise<Entry> {
  if (findProgram('zstd') === undefined) return { missing: 'zstd is not installed' };
  const file = join(folder, 'stored.zst');
  await runProgram('zstd', ['-q', '-f', '-3', '-T0', archive, '-o', file]);
  return { name: 'zstd -d', run: () => timedShell('zstd -q -d < "$1" > /dev/null', [file]) };
}

async function resticWay({ archive, folder }: Bench): Promise<Entry> {
  const tool = await restic();
  if ('missing' in tool) return tool;
  const { repository, env } = resticPlace(folder);
  return {
    name: 'restic',
    reads: archive,
    run: async () => {
      await runProgram(tool.program, ['init', '--quiet'], { env });
      return timedShell('"$1" backup --quiet --stdin --stdin-filename archive < "$2"', [tool.program, archive], env);
    },
    clean: () => {
      rmSync(repository, { recursive: true, force: true });
    },
  };
}

async function resticBack({ archive, folder }: Bench): Promise<Entry> {
  const tool = await restic();
  if ('missing' in tool) return tool;
  const { repository, env } = resticPlace(folder);
  if (existsSync(repository)) rmSync(repository, { recursive: true });
  await runProgram(tool.program, ['init', '--quiet'], { env });
  await timedShell('"$1" backup --quiet --stdin --stdin-filename archive < "$2"', [tool.program, archive], env);
  return { name: 'restic dump', run: () => timedShell('"$1" dump --quiet latest archive > /dev/null', [tool.program], env) };
}

function resticPlace(folder: string): { repository: string; env: NodeJS.ProcessEnv } {
  const repository = join(folder, 'restic');
  const cache = join(folder, 'restic-cache');
  mkdirSync(cache, { recursive: true });
  return { repository, env: { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: cache } };
}

export const tinyRow: Group = async (bench) => {
  const tiny = await tinyArchive(TINY_DOCUMENTS);
  const tinyBytes = statSync(tiny).size;
  const results = await contest(
    [
      { ...ourBackup(bench, tiny, 'tiny'), name: 'tiny' },
      { ...ourBackup(bench, bench.archive, 'chat'), name: 'chat' },
    ],
    bench.rounds,
    bench.say,
  );
  const rates = (name: string, bytes: number): number[] => (results.get(name) ?? []).map(({ seconds }) => bytes / 1e6 / seconds);
  const chat = rates('chat', bench.bytes);
  const value = median(rates('tiny', tinyBytes).map((rate, round) => rate / (chat[round] ?? NaN)));
  return {
    'tiny-documents': {
      value,
      figures: `${describeContest(results, tinyBytes, ['tiny'])}, ${describeContest(results, bench.bytes, ['chat'])}`,
    },
  };
};

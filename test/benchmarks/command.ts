// `./scripts/bench`: every number this project promises, measured here and now against the programs people would use instead.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { errorMessage } from '../../shared/step/errors.ts';
import { formatBytes } from '../../shared/step/format.ts';
import { parseSize } from '../../shared/step/input.ts';
import { parseScript, scriptCommand } from '../../scripts/command.ts';
import { chatArchive } from './archives.ts';
import { azureRow } from './azure-row.ts';
import type { Bench, Group } from './bench.ts';
import { engineRows } from './engine-rows.ts';
import { memoryRows } from './memory-rows.ts';
import { backupRows, restoreRows, tinyRow } from './pipeline-rows.ts';
import { formatRows, judge, ROWS, type Measured, type RowName } from './rows.ts';
import { retentionRows } from './retention-rows.ts';
import { startRow } from './start-row.ts';

interface Options {
  only?: string[];
  input?: string;
  size: number;
  rounds: number;
  json?: true;
}

/** `own`: needs no archive. */
const GROUPS: readonly { names: readonly RowName[]; measure: Group; own?: true }[] = [
  { names: ['backup-vs-seeds', 'backup-vs-zstd', 'backup-vs-restic'], measure: backupRows },
  { names: ['restore-vs-zstd', 'restore-vs-restic'], measure: restoreRows },
  { names: ['azure-backup-vs-upload'], measure: azureRow },
  {
    names: ['backup-memory', 'backup-memory-8', 'backup-memory-growth', 'restore-memory', 'restore-memory-8', 'restore-memory-growth'],
    measure: memoryRows,
  },
  { names: ['dump-vs-mongodump', 'restore-vs-mongorestore'], measure: engineRows },
  { names: ['tiny-documents'], measure: tinyRow },
  { names: ['cold-start'], measure: startRow, own: true },
  { names: ['retention-plan', 'retention-azurite'], measure: retentionRows, own: true },
];

const command = scriptCommand(
  'bench',
  [
    'Measures backup and restore against gzip | openssl, zstd, restic, the Azure SDK, mongodump and mongorestore.',
    'Each value is a ratio of times inside this run (the median of several rounds in alternating order), so that it',
    'says something on any machine. Run it on an idle one. Programs that are missing are built once, or the row says why not.',
  ].join('\n'),
  [
    ['./scripts/bench', 'every row'],
    ['./scripts/bench --only backup-vs', 'the rows whose names begin so'],
    ['./scripts/bench --size 256MiB --rounds 1', 'quickly, for a first look'],
  ],
)
  .addOption(
    new Option('--only <name>', 'measure this row, or those whose names begin so; may be given again').argParser(
      (name: string, before: string[] | undefined) => {
        if (!ROWS.some((row) => row.name.startsWith(name)))
          throw new InvalidArgumentError(`Rows are ${ROWS.map((row) => row.name).join(', ')}.`);
        return [...(before ?? []), name];
      },
    ),
  )
  .option('--input <archive>', 'a mongodump archive to use instead of the generated one')
  .addOption(
    new Option('--size <bytes>', 'size of the generated archive; made once and kept in the cache')
      .argParser(sizeOf)
      .default(2 ** 30, '1GiB'),
  )
  .addOption(new Option('--rounds <n>', 'how often each program runs, after a warm-up').argParser(countOfRounds).default(3))
  .option('--json', 'print rows as JSON: name, value, target, met, and the figures behind them');

function sizeOf(text: string): number {
  try {
    return parseSize(text);
  } catch (thrown) {
    throw new InvalidArgumentError(errorMessage(thrown));
  }
}

function countOfRounds(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1) throw new InvalidArgumentError('expected a whole number from 1');
  return rounds;
}

async function main(): Promise<number> {
  const options = parseScript(command).opts<Options>();
  const plans = ROWS.filter(({ name }) => !options.only || options.only.some((start) => name.startsWith(start)));
  const wanted = new Set<RowName>(plans.map(({ name }) => name));
  const withArchive = GROUPS.some(({ names, own }) => !own && names.some((name) => wanted.has(name)));
  const archive = withArchive ? (options.input ?? (await chatArchive(options.size))) : '';
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-bench-'));
  process.once('SIGINT', () => process.exit(130));
  process.once('exit', () => {
    rmSync(folder, { recursive: true, force: true });
  });
  const bench: Bench = {
    archive,
    bytes: withArchive ? statSync(archive).size : 0,
    folder,
    rounds: options.rounds,
    wanted,
    say: (line) => process.stderr.write(`  ${line}\n`),
  };
  process.stderr.write(`${withArchive ? `Input: ${archive} (${formatBytes(bench.bytes)}), ` : ''}${options.rounds} rounds\n`);
  const measured = new Map<string, Measured>();
  let failed = false;
  for (const { names, measure } of GROUPS) {
    if (!names.some((name) => bench.wanted.has(name))) continue;
    try {
      for (const [name, value] of Object.entries(await measure(bench))) measured.set(name, value);
    } catch (thrown) {
      failed = true;
      for (const name of names) measured.set(name, { skipped: `it broke: ${errorMessage(thrown).trim()}` });
    }
  }
  const rows = plans.map((plan) => judge(plan, measured.get(plan.name) ?? { skipped: 'it was not measured' }));
  process.stdout.write(options.json ? `${JSON.stringify(rows, null, 1)}\n` : `${formatRows(rows)}\n`);
  return failed || rows.some(({ met }) => met === false) ? 1 : 0;
}

process.exitCode = await main();

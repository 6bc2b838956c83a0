// `./scripts/faults`: the fault campaign. Every part breaks something on purpose; whatever is neither noticed nor survived fails the run.
import { randomBytes } from 'node:crypto';
import { Command, Option } from 'commander';
import { EXIT_CODES, errorMessage } from '../shared/step/errors.ts';
import { formatCount, formatSeconds } from '../shared/step/format.ts';
import { PARTS } from './campaign/index.ts';
import { runPart, type Row } from './campaign/part.ts';
import { endProcess } from './entries/end.ts';

interface Options {
  only?: string[];
  seed: string;
  rounds: number;
  quick: boolean;
  json: boolean;
}

async function main(options: Options): Promise<number> {
  const { only, seed, rounds, quick, json } = options;
  const unknown = only?.find((name) => !PARTS.some((part) => part.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`error: there is no part ${unknown}. The parts are ${PARTS.map(({ name }) => name).join(', ')}.\n`);
    return EXIT_CODES.usage;
  }
  const rows: Row[] = [];
  for (const part of PARTS.filter(({ name }) => only?.includes(name) ?? true)) {
    if (process.stderr.isTTY) process.stderr.write(`… ${part.name}\r`);
    const row = await runPart(part, { seed, rounds, full: !quick });
    rows.push(row);
    process.stderr.write(`${line(row)}\n`);
  }
  const slipped = rows.flatMap(({ name, slipped: told }) => told.map((what) => `${name}: ${what}`));
  if (json) process.stdout.write(`${JSON.stringify({ seed, rounds, full: !quick, rows }, null, 2)}\n`);
  for (const what of slipped) process.stderr.write(`SLIPPED ${what}\n`);
  const cases = formatCount(rows.reduce((sum, row) => sum + row.cases, 0));
  process.stderr.write(
    slipped.length === 0
      ? `Nothing slipped through ${cases} cases. Seed ${seed}.\n`
      : `${slipped.length} slipped through. To repeat: ./scripts/faults --seed ${seed} --rounds ${rounds}${quick ? ' --quick' : ''}\n`,
  );
  return slipped.length === 0 ? EXIT_CODES.succeeded : EXIT_CODES.failed;
}

function line({ name, what, cases, detected, survived, slipped, skipped, seconds }: Row): string {
  const mark = slipped.length > 0 ? '✗' : skipped === undefined ? '✓' : '-';
  const counts = `${formatCount(cases).padStart(6)} cases  ${formatCount(detected).padStart(6)} detected  ${formatCount(survived).padStart(6)} survived`;
  const reason = skipped === undefined ? what : `${what} (skipped: ${skipped})`;
  return `${mark} ${name.padEnd(20)} ${counts}  ${formatSeconds(seconds).padStart(8)}  ${reason}`;
}

function parseOptions(args: readonly string[]): Options {
  const command = new Command('./scripts/faults')
    .description(
      'Damages backups byte by byte, kills runs at every commit boundary, puts bad networks, tools and vaults in the way, and counts what was\n' +
        'detected and what was survived. Exit code 1 when anything slipped through, with the seed that repeats it.',
    )
    .addOption(new Option('--only <name...>', 'only these parts').choices(PARTS.map(({ name }) => name)))
    .addOption(new Option('--seed <text>', 'repeat a run').default(randomBytes(4).toString('hex'), 'random'))
    .addOption(new Option('--rounds <n>', 'random moments and samples per part').default(50).argParser(wholeNumber))
    .option('--quick', 'samples instead of every byte and boundary, as jest runs it', false)
    .option('--json', 'print the table as JSON on standard output', false)
    .addHelpText('after', `\nParts:\n${PARTS.map(({ name, what }) => `  ${name.padEnd(20)} ${what}`).join('\n')}`)
    .exitOverride();
  try {
    return command.parse(args, { from: 'user' }).opts<Options>();
  } catch (thrown) {
    const { exitCode } = thrown as { exitCode?: number };
    if (exitCode === undefined) process.stderr.write(`error: ${errorMessage(thrown)}\n`);
    process.exit(exitCode === 0 ? 0 : EXIT_CODES.usage);
  }
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`--rounds is "${text}": expected a whole number from 1 on.`);
  return Number(text);
}

process.exitCode = await main(parseOptions(process.argv.slice(2)));
await endProcess();

// `./scripts/faults`: the fault campaign. Every part breaks something on purpose; whatever is neither noticed nor survived fails the run.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { Option } from 'commander';
import { canRedraw, isPlain } from '../../shared/hosts/terminal-abilities.ts';
import { EXIT_CODES } from '../../shared/step/errors.ts';
import { formatCount, formatSeconds } from '../../shared/step/format.ts';
import { tempFolder } from '../backends/support.ts';
import { ensureBuilt } from './built-steps.ts';
import { PARTS } from './index.ts';
import { runPart, type Row } from './part.ts';
import { roundText } from './soak/actors.ts';
import { runSoak, type SoakRow } from './soak/soak.ts';
import { SITE_KINDS, type SiteKind } from './store-site.ts';
import { parseScript, scriptCommand } from '../../scripts/command.ts';
import { endProcess } from '../../shared/entries/end.ts';

interface Options {
  only?: string[];
  seed: string;
  rounds: number;
  quick: boolean;
  json: boolean;
  /** Minutes; undefined: the parts are run instead. */
  soak?: number;
  on?: SiteKind[];
}

async function main(options: Options): Promise<number> {
  if (options.soak !== undefined) return soak(options.soak, options);
  const { only, seed, rounds, quick, json } = options;
  const unknown = only?.find((name) => !PARTS.some((part) => part.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`error: there is no part ${unknown}. The parts are ${PARTS.map(({ name }) => name).join(', ')}.\n`);
    return EXIT_CODES.usage;
  }
  const rows: Row[] = [];
  const parts = PARTS.filter(({ name }) => only?.includes(name) ?? true);
  const signal = stopSignal();
  for (const part of parts) {
    if (signal.aborted) break;
    const live = liveLine(part.name);
    const row = await runPart(part, { seed, rounds, full: !quick, signal, onCase: live.show });
    live.clear();
    rows.push(row);
    process.stderr.write(`${line(row)}\n`);
  }
  if (json) process.stdout.write(`${JSON.stringify({ seed, rounds, full: !quick, rows }, null, 2)}\n`);
  const slipped = rows.flatMap(({ name, slipped: told }) => told.map((what) => `${name}: ${what}`));
  for (const what of slipped) process.stderr.write(`SLIPPED ${what}\n`);
  process.stderr.write(`${verdict(options, rows, slipped.length)}\n`);
  if (signal.aborted) {
    const left = [...rows.filter(({ stopped }) => stopped), ...parts.slice(rows.length)].map(({ name }) => name);
    process.stderr.write(
      `Stopped. To run the rest: ./scripts/faults --seed ${seed} --rounds ${rounds}${quick ? ' --quick' : ''} --only ${left.join(' ')}\n`,
    );
    return EXIT_CODES.cancelled;
  }
  return slipped.length === 0 ? EXIT_CODES.succeeded : EXIT_CODES.failed;
}

/** Many runs at once on one store, for so long; see campaign/soak. */
async function soak(minutes: number, { seed, json, on = [...SITE_KINDS] }: Options): Promise<number> {
  process.stderr.write(`Soaking ${on.join(', ')} for ${minutes} min, and a minute more for what must hold later. Seed ${seed}.\n`);
  ensureBuilt();
  const folder = tempFolder('soak');
  const signal = stopSignal();
  let rows: SoakRow[];
  try {
    rows = await runSoak({
      seed,
      kinds: on,
      minutes,
      folder,
      signal,
      onRound: (kind, row, round) => process.stderr.write(`… ${soakLine({ ...row, kind })}  ${roundText(round)}\n`),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  for (const row of rows)
    process.stderr.write(`${row.broken.length > 0 ? '✗' : row.skipped === undefined && !row.stopped ? '✓' : '-'} ${soakLine(row)}\n`);
  const broken = rows.flatMap(({ kind, broken: told }) => told.map((what) => `${kind}: ${what}`));
  for (const what of broken) process.stderr.write(`BROKEN ${what}\n`);
  const repeat = `./scripts/faults --soak ${minutes} --seed ${seed} --on ${on.join(' ')}`;
  const runs = rows.reduce((sum, row) => sum + row.runs, 0);
  process.stderr.write(
    broken.length === 0
      ? `Every invariant held through ${formatCount(runs)} runs. Seed ${seed}.\n`
      : `${broken.length} broken. To repeat: ${repeat}\n`,
  );
  if (json) process.stdout.write(`${JSON.stringify({ seed, minutes, rows }, null, 2)}\n`);
  if (signal.aborted) {
    process.stderr.write(`Stopped. To run it again: ${repeat}\n`);
    return EXIT_CODES.cancelled;
  }
  return broken.length === 0 ? EXIT_CODES.succeeded : EXIT_CODES.failed;
}

function soakLine({ kind, rounds, runs, killed, refused, failed, skipped, stopped, seconds }: SoakRow): string {
  const counts = `${formatCount(rounds).padStart(5)} rounds ${formatCount(runs).padStart(6)} runs  ${killed} killed  ${refused} refused  ${failed} failed`;
  const reason = skipped === undefined ? (stopped ? '  (stopped)' : '') : `  (skipped: ${skipped})`;
  return `${kind.padEnd(7)} ${counts}  ${seconds === 0 ? '' : formatSeconds(seconds)}${reason}`.trimEnd();
}

/** Ctrl-C ends after the case at hand, with what was done so far; a second one ends at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(EXIT_CODES.cancelled);
      process.stderr.write(
        `${canRedraw(process.stderr) && !isPlain() ? '\r\x1b[K' : ''}Stopping after this case. Once more ends at once.\n`,
      );
      stop.abort();
    });
  }
  return stop.signal;
}

/** On a terminal, the part at work with its cases and its time, on one line. */
function liveLine(name: string): { show: (cases: number, slips: number) => void; clear: () => void } {
  if (!canRedraw(process.stderr) || isPlain()) return { show: () => undefined, clear: () => undefined };
  const started = performance.now();
  let counted = [0, 0] as [cases: number, slips: number];
  const draw = (): void => {
    const [cases, slips] = counted;
    const bad = slips === 0 ? '' : `  ${formatCount(slips)} SLIPPED`;
    const time = formatSeconds((performance.now() - started) / 1000).padStart(8);
    process.stderr.write(`\r\x1b[K… ${name.padEnd(20)} ${formatCount(cases).padStart(6)} cases${bad}  ${time}`);
  };
  draw();
  const timer = setInterval(draw, 500).unref();
  return {
    show: (...now) => (counted = now),
    clear: () => {
      clearInterval(timer);
      process.stderr.write('\r\x1b[K');
    },
  };
}

function verdict({ seed, rounds, quick }: Options, rows: readonly Row[], slipped: number): string {
  const cases = formatCount(rows.reduce((sum, row) => sum + row.cases, 0));
  const time = formatSeconds(rows.reduce((sum, row) => sum + row.seconds, 0));
  return slipped === 0
    ? `Nothing slipped through ${cases} cases in ${time}. Seed ${seed}.`
    : `${slipped} slipped through. To repeat: ./scripts/faults --seed ${seed} --rounds ${rounds}${quick ? ' --quick' : ''}`;
}

function line({ name, what, cases, detected, survived, slipped, skipped, stopped, seconds }: Row): string {
  const mark = slipped.length > 0 ? '✗' : skipped !== undefined || stopped ? '-' : '✓';
  const counts = `${formatCount(cases).padStart(6)} cases  ${formatCount(detected).padStart(6)} detected  ${formatCount(survived).padStart(6)} survived`;
  const reason = skipped === undefined ? `${what}${stopped ? ' (stopped)' : ''}` : `${what} (skipped: ${skipped})`;
  return `${mark} ${name.padEnd(20)} ${counts}  ${formatSeconds(seconds).padStart(8)}  ${reason}`;
}

function parseOptions(args: readonly string[]): Options {
  const command = scriptCommand(
    'faults',
    'Damages backups byte by byte, kills runs at every commit boundary, puts bad networks, tools and vaults in the way, and counts what was\n' +
      'detected and what was survived. Exit code 1 when anything slipped through, with the seed that repeats it.',
    [
      ['./scripts/faults --quick', 'samples of everything'],
      [`./scripts/faults --only ${PARTS[0]?.name ?? ''}`, 'one part in full'],
      ['./scripts/faults --soak 10 --on folder', 'ten minutes of many runs on one store'],
    ],
  )
    .addOption(new Option('--only <name...>', 'only these parts').choices(PARTS.map(({ name }) => name)))
    .addOption(new Option('--seed <text>', 'repeat a run').default(randomBytes(4).toString('hex'), 'random'))
    .addOption(new Option('--rounds <n>', 'random moments and samples per part').default(50).argParser(wholeNumber))
    .addOption(
      new Option(
        '--soak <minutes>',
        'many runs at once on one store instead, killed at random: what must hold is looked at after each round',
      ).argParser(minutesOf),
    )
    .addOption(new Option('--on <store...>', 'with --soak: only these kinds of store, in turn').choices(SITE_KINDS))
    .option('--quick', 'samples instead of every byte and boundary, as jest runs it', false)
    .option('--json', 'print the table as JSON on standard output', false)
    .addHelpText('after', `\nParts:\n${PARTS.map(({ name, what }) => `  ${name.padEnd(20)} ${what}`).join('\n')}`);
  return parseScript(command, args).opts<Options>();
}

function minutesOf(text: string): number {
  const minutes = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || minutes <= 0 || minutes > 100_000)
    throw new Error(`--soak is "${text}": expected minutes, such as 10.`);
  return minutes;
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`--rounds is "${text}": expected a whole number from 1 on.`);
  return Number(text);
}

process.exitCode = await main(parseOptions(process.argv.slice(2)));
await endProcess();

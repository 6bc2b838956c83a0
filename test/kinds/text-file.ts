// The smallest kind there is: one text file, its lines counted. It shows what a kind must bring, and that one line is all it takes outside.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { defineKind, type KindWork, type Row, type Source, type Target } from '../../shared/backup/kind.ts';
import { text } from '../../shared/schema/fields.ts';
import type { StepContext } from '../../shared/step/define.ts';
import { RefusedError, UserError } from '../../shared/step/errors.ts';
import { input } from '../../shared/step/input.ts';

type Report = { readonly lines: number; readonly bytes: number; readonly sha256: string };

const inputs = { textFile: input.path({ summary: 'The text file.', example: 'notes.txt', config: 'path' }) };
type Context = StepContext<typeof inputs>;

function inspector() {
  const hash = createHash('sha256');
  const seen = { lines: 0, bytes: 0 };
  return {
    write(chunk: Uint8Array): void {
      hash.update(chunk);
      seen.bytes += chunk.length;
      for (const byte of chunk) if (byte === 0x0a) seen.lines += 1;
    },
    end: (): Report => ({ ...seen, sha256: hash.digest('hex') }),
  };
}

function reportOn(path: string): Report {
  const one = inspector();
  one.write(readFileSync(path));
  return one.end();
}

const pathOf = ({ inputs: { textFile } }: Context): string => textFile as string;

function source(path: string): Source<Report> {
  if (!existsSync(path)) throw new UserError(`There is no file ${path}.`, { fix: 'Check the path.' });
  return {
    bytes: createReadStream(path),
    estimate: statSync(path).size,
    said: `Reading ${path}.`,
    tools: {},
    facts: () => ({ source: { fingerprint: path }, consistency: 'point-in-time' }),
    what: path,
    consistency: 'the whole file at once',
    doubts: [],
    close: async () => undefined,
  };
}

function row(path: string, expected: Report): Row {
  const found = existsSync(path) ? reportOn(path) : undefined;
  const equal = found?.sha256 === expected.sha256;
  const differences = equal ? [] : [found ? 'its lines differ' : 'missing'];
  return {
    ...{ to: path, expected: expected.lines, found: found?.lines, verdict: equal ? 'equal' : 'different' },
    ...{ differences, notes: [], contentOnly: found !== undefined },
  };
}

function target(path: string, report: Report, replace: boolean): Target<Report> {
  const there = existsSync(path);
  return {
    fingerprint: path,
    plan: { path, there },
    facts: [['Target', path]],
    warnings: [],
    losses: (after) => (there ? [`${path} is ${after}`] : []),
    refuseOccupied: () => {
      if (there && !replace) throw new RefusedError(`${path} is there.`, { fix: 'Allow it with replace.' });
    },
    isHome: (from) => from === path,
    present: () => (there ? { said: path, selection: {}, open: async () => source(path) } : undefined),
    makes: there ? [] : [path],
    write: async (bytes) => {
      await writeFile(path, bytes);
      return { units: report.lines, notes: [] };
    },
    prove: async () => {
      const proved = row(path, report);
      const problem = proved.verdict === 'equal' ? undefined : `${path} is not what the backup holds.`;
      return { rows: [proved], found: proved.found ?? 0, verdict: proved.verdict, problem };
    },
    close: async () => undefined,
  };
}

const work: KindWork<typeof inputs, Record<string, never>, Report> = {
  newInspector: inspector,
  selection: () => ({}),
  openSource: async (context) => source(pathOf(context)),
  openTarget: async (context, { report, replace }) => target(pathOf(context), report, replace),
  compare: async (context, report) => {
    const one = row(pathOf(context), report);
    return { fingerprint: pathOf(context), rows: [one], found: one.found ?? 0, totals: { expected: one.expected, found: one.found } };
  },
  checks: async (context) => ({
    checks: [{ name: 'text-file', look: async () => ({ status: existsSync(pathOf(context)) ? 'ok' : 'failed', seen: pathOf(context) }) }],
    estimate: async () => undefined,
    close: async () => undefined,
  }),
  doubts: ({ lines }) => (lines === 0 ? ['The file has no lines.'] : []),
  count: ({ lines }) => ({ unit: 'lines', units: lines, groups: 1, group: 'file' }),
  names: () => [],
  details: ({ lines, bytes }) => ({ title: 'File', head: ['lines', 'bytes'], rows: [[String(lines), String(bytes)]] }),
};

const step = (name: string, what: string) => ({ name, title: `Toy: ${what}`, summary: `${what}.`, description: `${what}.`, examples: [] });

export const textFile = defineKind({
  ...{ kind: 'text-file', noun: 'text file', thing: 'file', about: 'A text file.', unit: 'lines', groups: 'files' },
  shape: async () => ({ path: text({ description: 'Its path.', example: 'notes.txt' }, { expected: 'expected a path' }) }),
  inputs,
  steps: { backup: step('text-file-backup', 'Back up'), restore: step('text-file-restore', 'Restore'), shrink: 'it has lost more lines' },
  load: async () => work,
});

// Phases are timed by a clock that only goes forward, judged against their budgets, and shown to fit.
import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { CancelledError, RefusedError, VerificationError } from '../../shared/step/errors.ts';
import { formatSeconds } from '../../shared/step/format.ts';
import type { Clock } from '../../shared/tools/clock.ts';
import { phaseTable, wrap } from './phase-table.ts';
import type { DrillResult, PhaseState } from './phase-facts.ts';
import { PhaseBoard } from './phases.ts';
import { reportPage } from './report.ts';

// Jest sets it for its workers when it is itself on a terminal.
delete process.env['FORCE_COLOR'];

const PHASES = [
  { name: 'load', title: 'Load the chat data', budgetSeconds: 60 },
  { name: 'restore', title: 'Restore', budgetSeconds: 10 },
  { name: 'compare', title: 'Compare', budgetSeconds: 5 },
];

class TurnedClock implements Clock {
  seconds = 1000;
  now(): Date {
    return new Date('2026-11-21T04:00:00Z');
  }
  monotonic(): number {
    return this.seconds * 1000;
  }
  async sleep(): Promise<void> {
    // Nothing here waits.
  }
}

function board(options: { columns?: number; tty?: boolean } = {}) {
  const written: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk.toString());
      done();
    },
  });
  Object.assign(stream, { columns: options.columns ?? 100, rows: 40, isTTY: options.tty ?? false });
  const clock = new TurnedClock();
  return {
    clock,
    board: new PhaseBoard({ phases: PHASES, stream: stream as unknown as NodeJS.WriteStream, clock }),
    text: () => written.join(''),
  };
}

async function drill(): Promise<{ result: DrillResult; text: string }> {
  const { board: phases, clock, text } = board();
  await phases.run('load', async (phase) => {
    phase.progress({ phase: 'Loading', done: 1024, total: 2048, unit: 'bytes', detail: 'users' });
    clock.seconds += 12;
    phase.progress({ phase: 'Loading', done: 2048, total: 2048, unit: 'bytes' });
    phase.measured({ bytes: 2048, documents: 7 });
  });
  await phases.run('restore', async () => {
    clock.seconds += 11;
  });
  const damaged = phases.run('compare', async () => {
    throw new VerificationError('Collection chat.<users> differs.');
  });
  await expect(damaged).rejects.toBeInstanceOf(VerificationError);
  return { result: phases.finish('failed'), text: text() };
}

describe('a drill', () => {
  test('times every phase and judges it against its budget', async () => {
    const { result } = await drill();
    expect(result).toEqual({
      verdict: 'failed',
      startedAt: '2026-11-21T04:00:00.000Z',
      seconds: 23,
      budgetSeconds: 75,
      phases: [
        { ...PHASES[0], verdict: 'passed', startSeconds: 0, seconds: 12, bytes: 2048, documents: 7 },
        { ...PHASES[1], verdict: 'late', startSeconds: 12, seconds: 11 },
        { ...PHASES[2], verdict: 'failed', startSeconds: 23, seconds: 0, note: 'Collection chat.<users> differs.' },
      ],
    });
  });

  test('in CI is told in plain lines, progress only now and then', async () => {
    const { text } = await drill();
    expect(text.split('\n').slice(0, 7)).toEqual([
      '▸ Load the chat data (budget 1m 00s)',
      '  12s: 2 KiB of 2 KiB',
      '✓ Load the chat data: passed in 12s, 2 KiB, 7 documents',
      '▸ Restore (budget 10s)',
      '! Restore: late in 11s',
      '▸ Compare (budget 5.0s)',
      '✗ Compare: failed in 0.0s. Collection chat.<users> differs.',
    ]);
    expect(text).toContain('FAILED in 23s, with a budget of 1m 15s');
    expect(text).not.toContain('\u001b');
  });

  test('names refusals, cancels and bugs apart, and counts what never ran as skipped', async () => {
    const { board: phases } = board();
    await expect(phases.run('load', () => Promise.reject(new RefusedError('Not empty.')))).rejects.toThrow('Not empty.');
    await expect(phases.run('restore', () => Promise.reject(new CancelledError()))).rejects.toThrow('Cancelled.');
    const { phases: results } = phases.finish('refused');
    expect(results.map(({ verdict }) => verdict)).toEqual(['refused', 'cancelled', 'skipped']);
  });

  test('refuses a phase it does not know and one that has run', async () => {
    const { board: phases } = board();
    await phases.run('load', () => Promise.resolve());
    await expect(phases.run('load', () => Promise.resolve())).rejects.toThrow('already been run');
    await expect(phases.run('lunch', () => Promise.resolve())).rejects.toThrow('no phase lunch');
  });
});

describe('the table', () => {
  const states: PhaseState[] = PHASES.map((phase, n) => ({
    ...phase,
    title: phase.title.repeat(n + 1),
    state: 'passed',
    startSeconds: 0,
    seconds: 83.4,
    bytes: 209_715_200,
    documents: 78_667,
  }));
  const plain = (_meaning: string, text: string): string => text;

  test('shows everything where there is room', () => {
    expect(phaseTable(states, 100, plain).slice(0, 2)).toEqual([
      '  phase                    time  budget    bytes  documents  verdict',
      '✓ Load the chat data     1m 23s  1m 00s  200 MiB     78,667  passed',
    ]);
  });

  test.each([30, 35, 40, 50, 60, 80, 120])('is never wider than %i characters, and keeps time and verdict', (width) => {
    const lines = phaseTable(states, width, plain);
    for (const line of lines) expect(Array.from(line).length).toBeLessThanOrEqual(width);
    expect(lines[1]).toContain('1m 23s');
    expect(lines[1]).toContain('passed');
  });

  test('wraps notes and cuts words that are longer than a line', () => {
    expect(wrap('a bb ccc dddddddd', 4)).toEqual(['a bb', 'ccc', 'dddd', 'dddd']);
  });
});

describe('the page', () => {
  test('holds every phase and fact, fetches nothing and runs nothing', async () => {
    const { result } = await drill();
    const page = reportPage(result, { title: 'a & b', facts: { Server: '<FerretDB>' } });
    expect(page).toContain('a &amp; b');
    expect(page).toContain('&lt;FerretDB&gt;');
    expect(page).toContain('chat.&lt;users&gt; differs.');
    expect(page).toContain('110% of the budget');
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<script|https?:|src=|url\(/);
  });

  test('shows the time of every phase on a phone: a card of its own each, with nothing to scroll sideways', async () => {
    const { result } = await drill();
    const page = reportPage(result, { title: 'drill' });
    const ran = result.phases.filter(({ verdict }) => verdict !== 'skipped');
    const times = [...page.matchAll(/<td class="number time" data-column="Time">([^<]+)<\/td>/g)].map(([, text]) => text);
    expect(times).toEqual(ran.map(({ seconds }) => formatSeconds(seconds)));
    for (const column of ['Budget', 'Data', 'Documents', 'Rate']) expect(page).toContain(`data-column="${column}"`);
    expect(page).toMatch(/@media \(max-width: 54rem\) \{[^@]*tbody tr \{ display: flex; flex-wrap: wrap;/);
    expect(page).toMatch(/td\.number:not\(\.time\)::before \{ content: attr\(data-column\)/);
    expect(page).not.toMatch(/overflow-x|class="scroll"/);
  });
});

// The live view as a person sees it: in a real pseudo-terminal, narrow and wide, with and without colour, and cancelled.
import { expect, test } from '@jest/globals';
import { findProgram } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { linesOf, onScreen, type Screen } from '../support/screen.ts';

const ESCAPE = '\u001b';

function start(what: string, columns: number, env: Record<string, string> = {}, mode = ''): Screen {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', 'test/hosts/fixtures/step-on-host.ts'];
  return onScreen([...node, 'terminal', mode], {
    columns,
    env: { WHAT: what, LIFEBOAT_MONGODB_URI: 'mongodb://b:hunter2-hunter2@x', ...env },
  });
}

test('the test’s own terminal plays back what a real one shows', () => {
  expect(linesOf(`one\r\ntwo ${ESCAPE}[31mred${ESCAPE}[39m\r${ESCAPE}[2Kthree`, 80)).toEqual(['one', 'three']);
  expect(linesOf('abcdef', 4)).toEqual(['abcd', 'ef']);
});

describeIf(findProgram('script') !== undefined, 'needs script of util-linux')('a terminal', () => {
  test.each([
    [40, /^Dumping {2}\d+% {2}[\d.]+s left$/],
    [80, /^Dumping {2}[\d.]+ MiB of 100 MiB \(\d+%\) {2}[\d.]+ MiB\/s {2}[\d.]+s left {2}rocketchat\.\S*…?$/],
    [200, /^Dumping {2}[\d.]+ MiB of 100 MiB \(\d+%\) {2}[\d.]+ MiB\/s {2}[\d.]+s left {2}rocketchat\.\ufffd\[31mmessages$/],
  ])('%d columns wide shows progress in one line, what matters most first', async (columns, expected) => {
    const screen = start('progress', columns);
    await screen.shows(/Dumping.*left/);
    const drawn = screen.raw().split(`\r${ESCAPE}[2K`).slice(1);
    expect(drawn.every((line) => linesOf(line, columns - 2).length === 1)).toBe(true);
    expect(drawn.some((line) => expected.test(line))).toBe(true);
    // A name that holds a control sequence has no say over the terminal.
    expect(screen.raw()).not.toContain(`${ESCAPE}[31mmessages`);
    screen.type('\u0003');
    expect(await screen.ended).toBe(130);
  });

  test('work that stands still shows so: the rate falls and the time left grows without any update', async () => {
    const screen = start('progress', 100);
    await screen.shows(/80 MiB of 100 MiB.*left.*standing\.still/);
    const seconds = (): number => Number(/ ([\d.]+)s left/.exec(screen.lines().join('\n'))?.[1]);
    const before = seconds();
    for (let tries = 0; seconds() <= before && tries < 3000; tries += 1) await new Promise((resume) => setTimeout(resume, 20));
    expect(seconds()).toBeGreaterThan(before);
    screen.type('\u0003');
    await screen.ended;
  });

  test.each([40, 120])(
    'Ctrl-C at %d columns takes the live line away, says one clear thing at a time, and leaves the cursor',
    async (columns) => {
      const screen = start('progress', columns);
      await screen.shows(/Dumping.*left/);
      screen.type('\u0003');
      expect(await screen.ended).toBe(130);
      const text = screen.lines().join('\n');
      expect(text).not.toContain('Dumping');
      expect(text).toMatch(/^warning: Cancelling and cleaning up\.\s+Press\s+Ctrl-C again to stop at\s+once\.\nCancelled\.$/m);
      // The cursor is never hidden, and what was coloured is set back.
      expect(screen.raw()).not.toContain(`${ESCAPE}[?25l`);
      expect(screen.raw().lastIndexOf(`${ESCAPE}[39m`)).toBeGreaterThan(screen.raw().lastIndexOf(`${ESCAPE}[33m`));
    },
  );

  test('NO_COLOR takes the colours away and keeps the live line', async () => {
    const coloured = start('doubt', 80);
    await coloured.ended;
    expect(coloured.raw()).toContain(`${ESCAPE}[33mwarning`);
    const plain = start('progress', 80, { NO_COLOR: '1' });
    await plain.shows(/Dumping.*left/);
    plain.type('\u0003');
    await plain.ended;
    expect(plain.raw()).not.toContain(ESCAPE);
    expect(plain.lines().join('\n')).not.toContain('Dumping');
  });

  test.each(['progress', 'doubt', 'ask'])('TERM=dumb gets no escape sequence: %s', async (what) => {
    const screen = start(what, 80, { TERM: 'dumb' });
    if (what !== 'doubt') {
      await new Promise((resume) => setTimeout(resume, 3000));
      screen.type('\u0003');
    }
    await screen.ended;
    expect(screen.raw()).not.toContain(ESCAPE);
  });

  test('--quiet shows no progress, and --json leaves standard output to one object', async () => {
    const quiet = start('progress', 80, {}, 'quiet');
    const json = start('progress', 80, {}, 'json');
    await json.shows(/standing\.still/);
    for (const screen of [quiet, json]) screen.type('\u0003');
    expect([await quiet.ended, await json.ended]).toEqual([130, 130]);
    expect(quiet.raw()).not.toContain('Dumping');
    expect(
      JSON.parse(
        json
          .lines()
          .join('')
          .replace(/^.*?Cancelled\.(?=\{)/s, ''),
      ),
    ).toMatchObject({ step: 'try-host', outcome: 'cancelled' });
  });

  test.each([
    ['Ctrl-C', '\u0003', ['warning: Cancelling and cleaning up. Press Ctrl-C again to stop at once.']],
    ['Ctrl-D', '\u0004', []],
  ])('%s at a question leaves the line of the question to itself', async (_key, typed, said) => {
    const screen = onScreen([process.execPath, '--disable-warning=ExperimentalWarning', 'scripts/cli.ts', 'init'], { columns: 100 });
    await screen.shows(/^Name of what is protected \[.*\]:$/m);
    screen.type(typed);
    expect(await screen.ended).toBe(130);
    const [question, ...rest] = screen.lines().filter((line) => line !== '');
    expect(question).toMatch(/^Name of what is protected \[.*\]:(?: \^C)?$/);
    expect(rest).toEqual([...said, 'Cancelled: the question was not answered.']);
  });

  test('--quiet asks nothing: what the question is about would not be shown', async () => {
    const screen = onScreen([process.execPath, '--disable-warning=ExperimentalWarning', 'scripts/cli.ts', 'init', '--quiet'], {
      columns: 80,
    });
    expect(await screen.ended).toBe(2);
    expect(screen.lines()[0]).toBe('error: --store and --vault are not given.');
  });

  test('a summary fits the terminal, and a secret in it is masked', async () => {
    const screen = start('say', 40);
    await screen.ended;
    expect(screen.raw()).not.toContain('hunter2');
    expect(Math.max(...screen.lines().map((line) => line.length))).toBeLessThanOrEqual(40);
  });
});

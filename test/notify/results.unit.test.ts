// How a pipeline ended, from the words of two CI systems; what a row of runs before it means.
import { messageText } from '../../shared/notify/text.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';
import { describe, expect, test } from '@jest/globals';
import type { ListedRun } from '../../shared/catalog/runs.ts';
import { composeAlert, composeRun, eventOf, troubleOf } from '../../shared/notify/compose.ts';
import { readOutcome, readResults, worstOf } from '../../shared/notify/results.ts';
import { isWanted } from '../../shared/notify/message.ts';
import type { Outcome } from '../../shared/step/errors.ts';
import { parseTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';

describe('results', () => {
  test.each([
    ['success', 'succeeded'],
    ['Succeeded', 'succeeded'],
    ['SucceededWithIssues', 'partial'],
    ['failure', 'failed'],
    ['Canceled', 'cancelled'],
    ['cancelled', 'cancelled'],
  ])('%s is %s', (word, outcome) => {
    expect(readOutcome(word)).toBe(outcome);
  });

  test.each([
    ['toJSON(needs) of GitHub', '{"backup":{"result":"success","outputs":{}},"validate":{"result":"failure","outputs":{}}}', 'failed'],
    ['a job whose step was partial', '{"backup":{"result":"success","outputs":{"outcome":"partial"}}}', 'partial'],
    ['jobs that were skipped count for nothing', '{"a":{"result":"success"},"b":{"result":"skipped"}}', 'succeeded'],
    ['nothing ran', '{"a":{"result":"skipped"}}', 'cancelled'],
    [
      'convertToJson(stageDependencies) of Azure',
      '{"Backup":{"mongodb":{"result":"Succeeded"},"state":{"result":"SucceededWithIssues"}}}',
      'partial',
    ],
    ['pairs', 'backup=Succeeded, validate=Canceled', 'cancelled'],
    ['lines', 'backup: success\nvalidate: success\n', 'succeeded'],
  ])('%s', (_what, text, outcome) => {
    expect(worstOf(readResults(text))).toBe(outcome);
  });

  test.each([
    ['{"a":', 'look like JSON'],
    ['{}', 'no result'],
    ['backup', '"backup" is not job=result'],
    ['backup=great', '"great" is not a way to end'],
    ['backup=constructor', '"constructor" is not a way to end'],
  ])('%s is refused: %s', (text, problem) => {
    expect(() => readResults(text)).toThrow(problem);
  });
});

/** Runs of one step from the oldest to the newest, an hour apart. */
function runs(...outcomes: Outcome[]): ListedRun[] {
  return outcomes.map((outcome, hour) => ({
    name: `runs/${hour}`,
    timestamp: parseTimestamp(`20241201_${String(hour).padStart(2, '0')}0000`) as Timestamp,
    step: 'mongodb-backup',
    outcome,
    component: 'mongodb',
    backup: undefined,
    errorKind: undefined,
    badBackups: [],
    goodBackups: [],
    keylessBackups: [],
  }));
}
const about = { step: 'mongodb-backup', component: 'mongodb' };

describe('what was before', () => {
  test.each<[string, Outcome[], { since: Date; runs: number } | undefined]>([
    ['nothing', [], undefined],
    ['a success ends every trouble', ['failed', 'succeeded'], undefined],
    ['one failure', ['succeeded', 'failed'], { since: new Date('2024-12-01T01:00:00Z'), runs: 1 }],
    ['a row, doubtful ones included', ['succeeded', 'failed', 'partial', 'failed'], { since: new Date('2024-12-01T01:00:00Z'), runs: 3 }],
    ['cancelled and refused runs tell nothing', ['failed', 'cancelled', 'refused'], { since: new Date('2024-12-01T00:00:00Z'), runs: 1 }],
  ])('%s', (_what, outcomes, trouble) => {
    expect(troubleOf(runs(...outcomes), about)).toEqual(trouble);
  });

  test('runs of another step or component are nobody else’s trouble', () => {
    expect(troubleOf(runs('failed'), { ...about, component: 'users' })).toBeUndefined();
    expect(troubleOf(runs('failed'), { ...about, step: 'mongodb-restore' })).toBeUndefined();
  });

  test('recovered is told only after a failure', () => {
    expect(eventOf('succeeded', undefined)).toBe('succeeded');
    expect(eventOf('succeeded', troubleOf(runs('failed'), about))).toBe('recovered');
    expect(eventOf('failed', troubleOf(runs('failed'), about))).toBe('failed');
  });

  test('who wants successes wants recoveries; who wants recoveries does not want successes', () => {
    expect(isWanted(['succeeded'], 'recovered')).toBe(true);
    expect(isWanted(['recovered'], 'succeeded')).toBe(false);
  });

  test('a message says since when and how often', () => {
    const ended = {
      ...about,
      name: 'shop',
      started: new Date('2024-12-01T03:00:00Z'),
      finished: new Date('2024-12-01T03:01:23Z'),
      run: { id: '1' },
    };
    const trouble = troubleOf(runs('succeeded', 'failed', 'failed'), about);
    expect(composeRun({ ...ended, outcome: 'succeeded' }, { trouble, lastGoodBackup: null })).toMatchObject({
      event: 'recovered',
      severity: 'info',
      title: 'mongodb-backup of shop/mongodb succeeded again',
      text: 'It had gone wrong 2 times, since 2024-12-01 01:00 UTC.\nTook 1m 23s.',
    });
    expect(composeRun({ ...ended, outcome: 'failed', error: 'The store is full.', fix: 'Make room.' }, { trouble })).toMatchObject({
      event: 'failed',
      severity: 'critical',
      text: 'The store is full.\nMake room.\nThe 2 runs before went wrong, too.',
      since: new Date('2024-12-01T01:00:00Z'),
    });
  });
});

test('an alert that no title can hold stands in the text, whole', () => {
  const message = `No store of mongodb can be looked at:\n- primary: ${'x'.repeat(150)}`;
  const about = { name: 'shop', at: new Date('2024-12-01T02:20:00Z'), run: { id: '1' } };
  expect(composeAlert({ ...about, problems: [{ severity: 'critical', message }] })).toMatchObject({
    title: '1 problem with the backups of shop',
    text: `critical: ${message}`,
  });
  expect(composeAlert({ ...about, problems: [{ severity: 'critical', message: 'Short.' }] })).toMatchObject({
    title: 'shop: Short.',
    text: '',
  });
});

test('a message names the installation in its title, and no time that is only true when it is sent', () => {
  const at = new Date('2024-12-01T02:20:30Z');
  const ended = {
    step: 'mongodb-backup',
    component: 'orders',
    name: 'shop',
    outcome: 'failed',
    error: 'x',
    started: at,
    finished: at,
    run: { id: '1' },
  } as const;
  const time = new Date('2024-12-01T02:20:00Z');
  const message = composeRun(ended, { lastGoodBackup: { timestamp: formatTimestamp(time), time } });
  expect(message.title).toBe('mongodb-backup of shop/orders failed');
  expect(composeRun({ ...ended, component: undefined }, {}).title).toBe('mongodb-backup of shop failed');
  expect(messageText(message)).toContain('Last good backup  20241201_022000 (2024-12-01 02:20 UTC)');
  expect(messageText(message)).toContain('Since             2024-12-01 02:20 UTC\n');
  expect(messageText(message)).not.toMatch(/just now|\bago\b/);
});

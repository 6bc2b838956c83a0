// Every rule at its border: what is told, what is not, and how it is said.
import { describe, expect, test } from '@jest/globals';
import type { Facts } from '../../shared/monitor/facts.ts';
import type { ComponentFacts } from '../../shared/monitor/component-facts.ts';
import { judge, type StatusFinding } from '../../shared/monitor/rules.ts';
import { dueAfter } from '../../shared/monitor/schedule.ts';
import { backup, DAILY, DAY, DUE, facts, GIB, HOUR, NOW, run } from './worlds.ts';

const MINUTE = 60_000;

/** Rule and severity of each finding. */
function told(found: readonly StatusFinding[]): string[] {
  return found.map(({ rule, severity }) => `${severity} ${rule}`);
}
function judged(changes: Partial<ComponentFacts>, now = NOW): string[] {
  return told(judge(facts(changes), now));
}
const at = (ms: number): Date => new Date(DUE + ms);

test('daily backups in order are healthy', () => {
  expect(judge(facts({ rpoMs: 26 * HOUR }, { total: 100 * GIB, free: 20 * GIB }), NOW)).toEqual([]);
});

describe('component rules', () => {
  const without = (days: number) => DAILY.slice(0, -days);
  const old = { errorKind: undefined, outcome: 'failed' } as const;
  test.each<[string, Partial<ComponentFacts>, Date, string[]]>([
    ['never ran', { backups: [] }, NOW, ['critical never-ran']],
    ['never ran, and was never promised', { backups: [], expected: false }, NOW, []],
    ['due, within grace', { backups: without(1) }, at(3 * HOUR), []],
    ['due, after grace', { backups: without(1) }, at(3 * HOUR + 1), ['critical missing']],
    ['nothing but doubtful ones', { backups: [backup(DAY, { state: 'suspect' })] }, NOW, ['critical never-ran', 'warning doubtful']],
    ['dated in the future', { ahead: [backup(-DAY)] }, NOW, ['warning doubtful']],
    ['a copy that is damaged', { copies: [{ store: 'offsite', newest: DAILY[5], bad: [backup(DAY)] }] }, NOW, ['critical verification']],
    [
      'never verified: within the rpo the last good one will do',
      { rpoMs: 2 * HOUR, backups: [backup(0, { state: 'committed' })] },
      at(2 * HOUR),
      [],
    ],
    [
      'never verified: over the rpo it will not',
      { rpoMs: 2 * HOUR, backups: [backup(0, { state: 'committed' })] },
      at(2 * HOUR + 1),
      ['critical rpo'],
    ],
    ['no schedule: nothing is missing', { backups: without(5), schedule: undefined }, NOW, []],
    [
      'only doubtful since',
      { backups: [...without(1), backup(0, { state: 'suspect' })] },
      at(4 * HOUR),
      ['critical missing', 'warning doubtful'],
    ],
    ['doubtful', { backups: [...DAILY, backup(-HOUR, { state: 'suspect' })] }, NOW, ['warning doubtful']],
    ['within the rpo', { rpoMs: 2 * HOUR }, at(2 * HOUR), []],
    ['over the rpo', { rpoMs: 2 * HOUR }, at(2 * HOUR + 1), ['critical rpo']],
    [
      'over the rpo: only verified ones count',
      { rpoMs: 2 * HOUR, backups: [...DAILY, backup(-HOUR, { state: 'committed' })] },
      at(3 * HOUR),
      ['critical rpo'],
    ],
    ['the last attempt failed', { runs: [run(-HOUR, old)] }, NOW, ['critical failure']],
    ['a failure before the last good one is over', { runs: [run(HOUR, old), run(0)] }, NOW, []],
    ['a restore that failed is no failed backup', { runs: [run(-HOUR, { ...old, step: 'mongodb-restore', backup: undefined })] }, NOW, []],
    ['a cancelled run is no failure', { runs: [run(-HOUR, { outcome: 'cancelled' })] }, NOW, []],
    ['killed without a record', { leftovers: [backup(-HOUR, { state: 'leftover' })] }, at(8 * HOUR), ['critical failure']],
    ['at work', { leftovers: [backup(-HOUR, { state: 'leftover' })] }, NOW, []],
    ['damaged', { backups: [backup(6 * DAY, { state: 'damaged' }), ...DAILY] }, NOW, ['critical verification']],
    ['found damaged', { backups: [...without(1), backup(0, { state: 'damaged', found: NOW })] }, NOW, ['critical verification']],
    ['without a key', { backups: [backup(6 * DAY, { state: 'keyless', found: NOW }), ...DAILY] }, NOW, ['critical verification']],
    ['an input that was wrong', { runs: [run(-HOUR, { ...old, errorKind: 'usage' })] }, NOW, []],
    [
      'a bad one that is gone',
      {
        runs: [
          run(-HOUR, {
            ...old,
            step: 'backup-validation',
            component: undefined,
            backup: undefined,
            errorKind: 'verification',
            badBackups: ['mongodb/20200101_000000'],
          }),
        ],
      },
      NOW,
      [],
    ],
    [
      'a restore that was not equal',
      { runs: [run(-HOUR, { ...old, step: 'mongodb-restore', backup: undefined, errorKind: 'verification' })] },
      NOW,
      ['critical verification'],
    ],
    [
      'a restore that was not equal, then one that failed for another reason',
      {
        runs: [
          run(-HOUR, { ...old, step: 'mongodb-restore', backup: undefined, errorKind: 'verification' }),
          run(-HOUR - MINUTE, { ...old, step: 'mongodb-restore', backup: undefined, errorKind: 'failed' }),
        ],
      },
      NOW,
      ['critical verification'],
    ],
    [
      'a restore that was not equal, then one that was',
      {
        runs: [
          run(-HOUR, { ...old, step: 'mongodb-restore', backup: undefined, errorKind: 'verification' }),
          run(-HOUR - MINUTE, { step: 'mongodb-restore', backup: undefined }),
        ],
      },
      NOW,
      [],
    ],
    ['twice the average', { backups: [...without(1), backup(0, { durationMs: 1_200_000 })] }, NOW, []],
    ['over twice the average', { backups: [...without(1), backup(0, { durationMs: 1_200_001 })] }, NOW, ['warning duration']],
    [
      'seconds are noise',
      { backups: [...DAILY.map((one) => ({ ...one, durationMs: 2000 })), backup(-MINUTE, { durationMs: 30_000 })] },
      NOW,
      [],
    ],
    ['two backups make no average', { backups: [backup(2 * DAY), backup(DAY), backup(0, { durationMs: 99_000_000 })] }, NOW, []],
    ['half the usual size', { backups: [...without(1), backup(0, { plainBytes: 2 * GIB })] }, NOW, []],
    ['less than half', { backups: [...without(1), backup(0, { plainBytes: 2 * GIB - 1 })] }, NOW, ['warning size']],
    ['more than twice', { backups: [...without(1), backup(0, { plainBytes: 8 * GIB + 1 })] }, NOW, ['warning size']],
    [
      'kilobytes are noise',
      { backups: [...DAILY.map((one) => ({ ...one, plainBytes: 1000 })), backup(-MINUTE, { plainBytes: 90_000 })] },
      NOW,
      [],
    ],
    ['copied', { copies: [{ store: 'offsite', newest: DAILY[5], bad: [] }] }, NOW, []],
    ['not copied for an hour', { copies: [{ store: 'offsite', newest: DAILY[4], bad: [] }] }, at(10 * MINUTE + HOUR), []],
    [
      'not copied for longer',
      { copies: [{ store: 'offsite', newest: DAILY[4], bad: [] }] },
      at(10 * MINUTE + HOUR + 1),
      ['warning replication-lag'],
    ],
    [
      'a store that is to hold copies and never got one',
      { copies: [{ store: 'offsite', newest: undefined, bad: [] }] },
      NOW,
      ['warning replication-lag'],
    ],
    [
      'the same while the first backup is young',
      { backups: [backup(0)], copies: [{ store: 'offsite', newest: undefined, bad: [] }] },
      at(10 * MINUTE + HOUR),
      [],
    ],
    ['a key of 90 days', { keys: [{ kind: 'escrow', id: 'ab', since: new Date(NOW.getTime() - 90 * DAY) }] }, NOW, []],
    ['a key of more', { keys: [{ kind: 'escrow', id: 'ab', since: new Date(NOW.getTime() - 90 * DAY - 1) }] }, NOW, ['warning key-age']],
  ])('%s', (_what, changes, now, expected) => {
    expect(judged(changes, now)).toEqual(expected);
  });
});

describe('storage', () => {
  test.each([
    [20, []],
    [19.9, ['warning storage']],
    [4.9, ['critical storage']],
  ])('%d %% free', (free, expected) => {
    expect(told(judge(facts({}, { total: 100 * GIB, free: free * GIB }), NOW))).toEqual(expected);
  });

  test('a store without an end is never full', () => {
    expect(judge(facts(), NOW)).toEqual([]);
  });

  test('a store with nothing in it protects nobody', () => {
    const empty: Facts = { ...facts(), components: [] };
    expect(judge(empty, NOW)).toMatchObject([
      { rule: 'never-ran', severity: 'critical', message: 'There is no backup of anything in /mnt/backups.' },
    ]);
  });
});

test('a finding says what, since when and what to run next; the worst come first', () => {
  const backups = [...DAILY.slice(0, 4), backup(DAY, { plainBytes: GIB })];
  expect(judge(facts({ backups }), at(5 * HOUR))).toEqual([
    {
      rule: 'missing',
      severity: 'critical',
      component: 'mongodb',
      store: 'primary',
      message: 'The backup of mongodb that was due at 2024-12-01 02:17 UTC is missing, 5h 00m late; the last good one is 20241130_021700.',
      since: new Date(DUE),
      next: 'lifeboat mongodb-backup --component mongodb',
    },
    {
      rule: 'size',
      severity: 'warning',
      component: 'mongodb',
      store: 'primary',
      message: 'The newest backup of mongodb is 1 GiB, less than half of the usual 4 GiB.',
      since: new Date(DUE - DAY),
    },
  ]);
});

describe('when a backup is missing', () => {
  test.each([
    ['daily, three hours of grace', '17 2 * * *', 0, DAY, DAY + 3 * HOUR],
    ['a late run does not move the next', '17 2 * * *', 10 * HOUR, DAY, DAY + 3 * HOUR],
    ['one by hand just before counts for the run that follows', '17 2 * * *', DAY - HOUR, 2 * DAY, 2 * DAY + 3 * HOUR],
    ['one by hand in the evening does not', '17 2 * * *', DAY - 7 * HOUR, DAY, DAY + 3 * HOUR],
    ['hourly, a quarter of an hour', '17 * * * *', 0, HOUR, HOUR + 15 * MINUTE],
    ['on weekdays only: over the week-end nothing is missing', '17 2 * * 1-5', -2 * DAY, DAY, DAY + 3 * HOUR],
  ])('%s', (_what, schedule, last, due, missing) => {
    const answer = dueAfter(schedule, at(last));
    expect([answer.due, answer.missingFrom]).toEqual([at(due), at(missing)]);
  });

  test('grace can be set', () => {
    expect(dueAfter('17 2 * * *', at(0), 60_000).missingFrom).toEqual(at(DAY + 60_000));
  });
});

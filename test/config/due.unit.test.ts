// Schedules that cron cannot say, run by a CI system that knows nothing but cron in UTC.
import { describe, expect, test } from '@jest/globals';
import { utcCrons } from '../../shared/config/ci-cron.ts';
import { isDue } from '../../shared/config/due.ts';
import { lastRun, runsBetween } from '../../shared/config/schedule.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FROM = new Date('2024-12-20T12:00:00Z');
const at = (text: string): Date => new Date(`${text}:00Z`);

describe('the last run of a schedule', () => {
  test.each([
    ['17 2 * * *', '2025-01-05T02:17', '2025-01-05T02:17'],
    ['17 2 * * *', '2025-01-05T02:16', '2025-01-04T02:17'],
    ['first sunday at 00:17', '2025-03-01T00:00', '2025-02-02T00:17'],
    ['last day at 23:17', '2024-03-01T00:00', '2024-02-29T23:17'],
    ['daily at 02:17 Europe/Berlin', '2025-07-01T00:17', '2025-07-01T00:17'],
    ['sunday at 01:17; first monday at 00:17', '2025-01-07T00:00', '2025-01-06T00:17'],
  ])('of %s before %s', (schedule, before, expected) => {
    expect(lastRun(schedule, at(before))).toEqual(at(expected));
  });
});

describe('a backup is due', () => {
  test.each<[string, string, string | undefined, string, boolean]>([
    ['when there is none yet', 'first sunday at 00:17', undefined, '2025-01-15T12:00', true],
    ['on the first Sunday', 'first sunday at 00:17', '2024-12-01T00:20', '2025-01-05T00:17', true],
    ['not on the second Sunday', 'first sunday at 00:17', '2025-01-05T00:20', '2025-01-12T00:17', false],
    ['on the second Sunday when the first one failed or never ran', 'first sunday at 00:17', '2024-12-01T00:20', '2025-01-12T00:17', true],
    ['to a machine whose clock is two minutes behind', '17 2 * * *', '2025-01-04T02:18', '2025-01-05T02:15', true],
    ['not twice when that clock is right again', '17 2 * * *', '2025-01-05T02:15', '2025-01-05T02:18', false],
    ['not an hour before its time', '17 2 * * *', '2025-01-04T02:18', '2025-01-05T01:17', false],
    ['hours late, as GitHub runs it', '17 2 * * *', '2025-01-04T02:18', '2025-01-05T05:40', true],
    ['although one was made by hand in the evening', '17 2 * * *', '2025-01-04T21:00', '2025-01-05T02:17', true],
    ['every ten minutes, not five', '*/10 * * * *', '2025-01-05T02:10', '2025-01-05T02:15', false],
    ['every ten minutes', '*/10 * * * *', '2025-01-05T02:10', '2025-01-05T02:20', true],
  ])('%s', (_what, schedule, last, now, expected) => {
    expect(isDue(schedule, last === undefined ? undefined : at(last), at(now))).toBe(expected);
  });
});

describe('cron lines for a CI system', () => {
  test.each([
    ['17 2 * * *', ['17 2 * * *']],
    ['17 2 * * 1-5', ['17 2 * * 1-5']],
    ['17 2 * jan-mar mon,wed', ['17 2 * jan-mar mon,wed']],
    ['daily at 02:17', ['17 2 * * *']],
    ['sunday at 01:17', ['17 1 * * 0']],
    ['first sunday at 00:17', ['17 0 * * 0']],
    ['last friday at 22:17', ['17 22 * * 5']],
    ['day 15 at 02:17', ['17 2 15 * *']],
    ['last day at 23:17', ['17 23 28,29,30,31 * *']],
    ['daily at 02:17 Europe/Berlin', ['17 0,1 * * *']],
    ['first sunday at 00:17 Europe/Berlin', ['17 22,23 * * 6']],
    ['sunday at 01:17; first sunday at 00:17', ['17 1 * * 0', '17 0 * * 0']],
    ['17,47 8,9 * * 1 Asia/Kolkata', ['47 2,3 * * 1', '17 3,4 * * 1']],
    ['*/5 8-17 * * 1-5 Europe/Berlin', ['0,5,10,15,20,25,30,35,40,45,50,55 * * * *']],
  ])('of %s', (schedule, expected) => {
    expect(utcCrons(schedule, FROM)).toEqual(expected);
  });

  // Both changes of summer time, on either side of the world, at the hours that are skipped and doubled.
  test.each([
    'first sunday at 00:17',
    'last sunday at 02:17 Europe/Berlin',
    'daily at 02:17 Europe/Berlin',
    'daily at 01:30 America/New_York',
    'last day at 23:17 Pacific/Auckland',
    '17 2 * * 1 Australia/Lord_Howe',
    'daily at 03:17; first sunday at 01:17 Europe/London',
    'day 29 at 00:17 Asia/Kathmandu',
  ])('with --due each run of "%s" is made once, and within an hour or so', (schedule) => {
    const runs = (one: string): Date[] => runsBetween(one, FROM, new Date(FROM.getTime() + 330 * DAY), 1000);
    const ticks = utcCrons(schedule, FROM)
      .flatMap(runs)
      .sort((a, b) => a.getTime() - b.getTime());
    const due = runs(schedule);
    let last: Date = FROM;
    const made: Date[] = [];
    for (const tick of ticks) {
      // The backup bears the moment at which its run began.
      if (isDue(schedule, last, tick)) made.push((last = new Date(tick.getTime() + 20_000)));
    }
    expect(made).toHaveLength(due.length);
    const delays = made.map((time, index) => time.getTime() - (due[index] as Date).getTime());
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThanOrEqual(80 * MINUTE);
  });
});

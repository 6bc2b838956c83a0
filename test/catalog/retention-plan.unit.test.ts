import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import type { Hold } from '../../shared/catalog/hold.ts';
import type { BackupState, ListedBackup } from '../../shared/catalog/list.ts';
import {
  planDifference,
  withHoldsAsPlanned,
  planSection,
  removals,
  type PlanSection,
  type SectionFacts,
} from '../../shared/catalog/retention-plan.ts';
import type { RetentionRules } from '../../shared/catalog/retention.ts';
import { planFromJson, planToJson } from '../../shared/catalog/saved-plan.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';

const NOW = new Date('2024-06-30T12:00:00Z');
const DAY = 86_400_000;

/** A backup of so many days ago. */
function backup(days: number, state: BackupState = 'verified', more: Partial<ListedBackup> = {}): ListedBackup {
  const time = new Date(NOW.getTime() - days * DAY);
  return {
    ...{ component: 'mongodb', timestamp: formatTimestamp(time), time, state, dataBytes: 10 },
    ...{ kind: 'mongodb', created: undefined, plainBytes: 1, storedBytes: 10, durationMs: 1, consistency: undefined },
    ...{ verified: 'full' as const, suspect: false },
    ...more,
  };
}

function plan(backups: ListedBackup[], rules: RetentionRules = { last: 1 }, more: Partial<SectionFacts> = {}): PlanSection {
  const facts = { component: 'mongodb', store: 'memory:', prefix: 'prod', backups, holds: [], failed: [], ...more };
  return planSection(facts, { rules, policy: 'test' }, NOW);
}

/** `2: last` by days ago. */
function shown(section: PlanSection): string[] {
  return section.backups.map(({ timestamp, keep, reasons }) => {
    const time = Date.parse(timestamp.replace(/(....)(..)(..)_(..)(..)(..)/, '$1-$2-$3T$4:$5:$6Z'));
    return `${Math.round((NOW.getTime() - time) / DAY)} ${keep ? 'stays' : 'goes'}: ${reasons.join('; ')}`;
  });
}

function hold(days: number, until: Date | undefined, reason = 'before the upgrade'): Hold {
  return { id: '12345678', component: 'mongodb', timestamp: formatTimestamp(new Date(NOW.getTime() - days * DAY)), reason, until };
}

describe('a retention plan', () => {
  test('counts verified backups only; what is doubtful ages away without pushing them out', () => {
    const backups = [backup(1), backup(2, 'suspect'), backup(3, 'committed'), backup(4), backup(5, 'damaged'), backup(6)];
    expect(shown(plan(backups, { last: 2 }))).toEqual([
      '1 stays: last',
      '2 stays: last, not counted: suspect',
      '3 goes: not fully read back, and no rule would keep it',
      '4 stays: last',
      '5 goes: damaged, and no rule would keep it',
      '6 goes: no rule keeps it',
    ]);
  });

  test.each<[string, ListedBackup[], Partial<SectionFacts>, string]>([
    ['failed', [backup(1), backup(9)], { failed: [{ timestamp: backup(0.5).timestamp, what: 'failed' }] }, 'failed'],
    ['was cancelled', [backup(1), backup(9)], { failed: [{ timestamp: backup(0.5).timestamp, what: 'was cancelled' }] }, 'was cancelled'],
    ['is suspect', [backup(0.5, 'suspect'), backup(1), backup(9)], {}, 'is marked suspect'],
    ['was never completed', [backup(0.5, 'leftover'), backup(1), backup(9)], {}, 'was never completed'],
    ['is damaged', [backup(0.5, 'damaged'), backup(1), backup(9)], {}, 'is damaged'],
    ['is not fully read back', [backup(0.5, 'committed'), backup(1), backup(9)], {}, 'was not fully read back'],
  ])('removes nothing when the newest attempt %s', (_what, backups, more, words) => {
    const section = plan(backups, { last: 1 }, more);
    expect(removals(section)).toEqual([]);
    expect(section.blocked).toContain(words);
  });

  test('removes again once a later run is verified', () => {
    const section = plan(
      [backup(1), backup(2), backup(9)],
      { last: 1 },
      { failed: [{ timestamp: backup(1.5).timestamp, what: 'failed' }] },
    );
    expect(removals(section)).toHaveLength(2);
  });

  test('a verified backup dated in the future does not hide that the newest attempt failed', () => {
    const section = plan(
      [backup(-900), backup(1), backup(9)],
      { last: 1 },
      { failed: [{ timestamp: backup(0.5).timestamp, what: 'failed' }] },
    );
    expect(section.blocked).toContain('failed');
    expect(removals(section)).toEqual([]);
  });

  test('removes nothing where nothing is verified', () => {
    const section = plan([backup(1, 'committed'), backup(2, 'committed'), backup(3, 'suspect')], { last: 1 });
    expect(removals(section)).toEqual([]);
    expect(section.blocked).toContain('no verified backup');
  });

  test('keeps what is held, locked by the store or in use, and says so', () => {
    const backups = [
      backup(1),
      backup(2),
      backup(3, 'verified', { locked: 'immutable until 2027-01-31' }),
      backup(4),
      backup(5),
      backup(6),
    ];
    const section = plan(
      backups,
      { last: 1 },
      {
        holds: [hold(2, new Date('2024-07-15T00:00:00Z')), hold(2, new Date('2024-07-15T00:00:00Z')), hold(4, undefined), hold(5, NOW)],
      },
    );
    expect(shown(section)).toEqual([
      '1 stays: last',
      '2 stays: held until 2024-07-15: before the upgrade',
      '3 stays: immutable until 2027-01-31',
      '4 stays: held: before the upgrade',
      '5 goes: no rule keeps it',
      '6 goes: no rule keeps it',
    ]);
  });

  test('has no doubts about a store where nothing is yet', () => {
    const section = plan([backup(3, 'leftover')], { last: 1 }, { failed: [{ timestamp: backup(1).timestamp, what: 'failed' }] });
    expect([section.blocked, section.backups, section.leftovers]).toEqual([undefined, [], 1]);
  });

  test('leaves leftovers alone and knows interrupted removals', () => {
    const section = plan([backup(1), backup(2, 'leftover'), backup(3, 'pruning'), backup(4)]);
    expect(section).toMatchObject({ leftovers: 1, unfinished: [backup(3).timestamp] });
    expect(removals(section).map(({ timestamp }) => timestamp)).toEqual([backup(4).timestamp]);
  });

  test('whatever the history, a verified backup stays where there was one, and a second plan removes nothing more', () => {
    const state = fc.constantFrom<BackupState>('verified', 'verified', 'verified', 'committed', 'suspect', 'damaged', 'leftover');
    const histories = fc.uniqueArray(fc.tuple(fc.integer({ min: -20, max: 900 }), state), {
      selector: ([days]) => days,
      maxLength: 40,
      size: 'max',
    });
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), (history, daily, monthly) => {
        const backups = history.map(([days, one]) => backup(days, one));
        const first = plan(backups, { daily, monthly });
        const stays = first.backups.filter(({ keep }) => keep);
        expect(stays.some((one) => one.state === 'verified')).toBe(backups.some((one) => one.state === 'verified'));
        const left = backups.filter(({ timestamp }) => !removals(first).some((gone) => gone.timestamp === timestamp));
        expect(removals(plan(left, { daily, monthly }))).toEqual([]);
        expect(planDifference(first, plan(left, { daily, monthly }))).toBeUndefined();
      }),
    );
  });
});

describe('a saved plan', () => {
  const backups = [backup(1), backup(2), backup(3)];
  const planned = plan(backups);

  test('is read back as it was written', () => {
    const whole = { formatVersion: 1 as const, name: 'prod', created: NOW.toISOString(), sections: [planned] };
    expect(planFromJson(planToJson(whole), 'plan.json')).toEqual(whole);
  });

  test.each(['', '{}', '{"formatVersion":1}', '[]'])('is refused when the file is %j', (text) => {
    expect(() => planFromJson(text, 'plan.json')).toThrow('plan.json is not a retention plan');
  });

  test('matches an unchanged catalog, and one from which an interrupted run removed some already', () => {
    expect(planDifference(planned, plan(backups))).toBeUndefined();
    expect(planDifference(planned, plan([backup(1), backup(3)]))).toBeUndefined();
    expect(planDifference(planned, plan([backup(1)]))).toBeUndefined();
  });

  test.each<[string, PlanSection, string]>([
    ['there is a new backup', plan([backup(0), ...backups]), 'which the plan does not know'],
    ['a backup that stays is gone', plan([backup(2), backup(3)]), 'stays (last) by now'],
    ['a backup was found damaged', plan([backup(1), backup(2, 'damaged'), backup(3)]), 'is damaged'],
    ['somebody holds one', plan(backups, { last: 1 }, { holds: [hold(3, undefined)] }), 'stays (held: before the upgrade)'],
    ['a backup has failed since', plan(backups, { last: 1 }, { failed: [{ timestamp: backup(0).timestamp, what: 'failed' }] }), 'failed'],
    ['its data has another size', plan([backup(1), backup(2, 'verified', { dataBytes: 11 }), backup(3)]), 'another size'],
  ])('does not match when %s', (_what, current, words) => {
    expect(planDifference(planned, current)).toContain(words);
  });

  test('is carried out when a hold has ended since: what it kept stays this once, and the rest goes', () => {
    const until = new Date(NOW.getTime() + 1000);
    const held = plan(backups, { last: 1 }, { holds: [hold(3, until)] });
    const later = withHoldsAsPlanned(held, plan(backups, { last: 1 }, {}));
    expect(planDifference(held, later)).toBeUndefined();
    expect(removals(later).map(({ timestamp }) => timestamp)).toEqual(removals(held).map(({ timestamp }) => timestamp));
    expect(removals(plan(backups, { last: 1 }, {}))).toHaveLength(removals(held).length + 1);
  });

  test('changed by hand to remove more does not match', () => {
    const forged = { ...planned, backups: planned.backups.map((one) => ({ ...one, keep: false })) };
    expect(planDifference(forged, plan(backups))).toContain('stays (last) by now');
  });
});

// What a retention run tells of itself: counts that add up, and nothing that was left undone without a word.
import { expect, test } from '@jest/globals';
import type { PruneOutcome } from '../../shared/catalog/prune.ts';
import type { PlanSection } from '../../shared/catalog/retention-plan.ts';
import { reportOf } from '../../shared/catalog/retention-report.ts';
import { UserError } from '../../shared/step/errors.ts';
import { timestamp } from '../backup/support.ts';

const at = (day: number) => timestamp(`2024120${day}_120000`);

/** A section of which days 1 and 2 go, of 10 and 20 bytes; 3 and 4 stay. */
function section(changes: Partial<PlanSection> = {}): PlanSection {
  return {
    ...{ component: 'mongodb', store: '/mnt/a', prefix: 'prod', rules: { last: 2 }, policy: 'the last 2', leftovers: 0, unfinished: [] },
    backups: [4, 3, 2, 1].map((day) => ({ timestamp: at(day), state: 'verified', bytes: day * 10, keep: day > 2, reasons: ['last'] })),
    ...changes,
  };
}
const outcome = (day: number, result: PruneOutcome['result'] = 'removed', notice?: string): PruneOutcome => ({
  ...{ timestamp: at(day), result, keysForgotten: result === 'removed' ? 1 : 0 },
  ...(notice === undefined ? {} : { notice }),
});

test('a plan: what would go', () => {
  expect(reportOf([section(), section({ store: '/mnt/b' })], undefined)).toEqual({
    ...{ removed: 4, kept: 4, freedBytes: 60, keysForgotten: 0, doubts: [], notices: [] },
  });
});

test('a removal that an earlier run began is finished, and is not one less that stays', () => {
  const one = section({ unfinished: [at(9)] });
  expect(reportOf([one], new Map([[one, [outcome(9), outcome(1), outcome(2)]]]))).toMatchObject({
    ...{ removed: 3, kept: 2, freedBytes: 30, keysForgotten: 3 },
  });
});

test('what was not removed stays in the count, and says why; so does a section that was locked, and one that is blocked', () => {
  const [first, second, third] = [section(), section({ store: '/mnt/b' }), section({ store: '/mnt/c', blocked: 'Doubtful.', backups: [] })];
  const results = new Map<PlanSection, PruneOutcome[] | UserError>([
    [first, [outcome(1, 'removed', 'its keys stay'), outcome(2, 'stays', 'held: INC-1')]],
    [second, new UserError('Locked.', { fix: 'Wait.' })],
  ]);
  expect(reportOf([first, second, third], results)).toEqual({
    ...{ removed: 1, kept: 7, freedBytes: 10, keysForgotten: 1 },
    doubts: ['Doubtful.', `mongodb ${at(2)} stays: held: INC-1`, 'Nothing of mongodb in /mnt/b was removed: Locked. Wait.'],
    notices: [`mongodb ${at(1)}: its keys stay.`],
  });
});

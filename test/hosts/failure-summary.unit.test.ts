import { describe, expect, test } from '@jest/globals';
import { failureSummary } from '../../shared/hosts/failure-summary.ts';

describe('the summary of a run that did not succeed', () => {
  test('says what happened, what to do and the exit code', () => {
    const error = { kind: 'verification' as const, message: 'Region 3 is damaged.\nSecond line.', fix: 'Take another backup.' };
    expect(failureSummary({ outcome: 'failed', exitCode: 4, warnings: [], error })).toBe(
      '### Lifeboat: failed verification (exit code 4)\n\n> Region 3 is damaged.\n> Second line.\n\nTake another backup.\n',
    );
  });

  test('is empty after a cancel, and when nothing went wrong', () => {
    const error = { kind: 'cancelled' as const, message: 'Cancelled.' };
    expect(failureSummary({ outcome: 'cancelled', exitCode: 130, warnings: [], error })).toBe('');
    expect(failureSummary({ outcome: 'succeeded', exitCode: 0, warnings: [] })).toBe('');
  });
});

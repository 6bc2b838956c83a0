import { describe, expect, test } from '@jest/globals';
import { failureSummary } from '../../shared/hosts/failure-summary.ts';
import { renderMarkdown } from '../../shared/hosts/markdown.ts';

describe('the summary of a run that did not succeed', () => {
  test('says what happened, what to do and the exit code', () => {
    const error = { kind: 'verification' as const, message: 'Region 3 is damaged.\nSecond line.', fix: 'Take another backup.' };
    expect(failureSummary({ outcome: 'failed', exitCode: 4, warnings: [], error })).toBe(
      '### Lifeboat: failed verification (exit code 4)\n\n> Region 3 is damaged.\n> Second line.\n\nTake another backup.\n',
    );
  });

  test('shows what stands in angle brackets, in a browser as on a terminal', () => {
    const error = { kind: 'usage' as const, message: 'store is missing: https://<account>/<container>.', fix: 'Write a & b, not <b>.' };
    const markdown = failureSummary({ outcome: 'failed', exitCode: 2, warnings: [], error });
    expect(markdown).toContain('> store is missing: https://&lt;account>/&lt;container>.\n\nWrite a &amp; b, not &lt;b>.');
    const plain = { bold: (text: string) => text, dim: (text: string) => text };
    expect(renderMarkdown(markdown, plain)).toContain('https://<account>/<container>.\n\nWrite a & b, not <b>.');
  });

  test('is empty after a cancel, and when nothing went wrong', () => {
    const error = { kind: 'cancelled' as const, message: 'Cancelled.' };
    expect(failureSummary({ outcome: 'cancelled', exitCode: 130, warnings: [], error })).toBe('');
    expect(failureSummary({ outcome: 'succeeded', exitCode: 0, warnings: [] })).toBe('');
  });
});

import { describe, expect, test } from '@jest/globals';
import { failureSummary } from '../../shared/hosts/failure-summary.ts';
import { renderMarkdown } from '../../shared/hosts/markdown.ts';

const FAILED = { outcome: 'failed' as const, warnings: [], subject: 'MongoDB backup of shop/mongodb' };

describe('the summary of a run that did not succeed', () => {
  test('names the thing, then says what happened, what to do, the last good backup and the command to run next', () => {
    const error = { kind: 'failed' as const, message: 'The server does not answer.\nSecond line.', fix: 'Start it.' };
    const help = { lastGoodBackup: '20241201_021700 (2024-12-01 02:17 UTC)', next: "lifeboat mongodb-backup --component 'my shop'" };
    expect(failureSummary({ ...FAILED, exitCode: 1, error, help })).toBe(
      '### \u274c MongoDB backup of shop/mongodb failed (exit code 1)\n\n> The server does not answer.\n> Second line.\n\nStart it.\n\n' +
        '**Last good backup**: 20241201_021700 (2024-12-01 02:17 UTC)\n\n' +
        "Run next\n\n```\nlifeboat mongodb-backup --component 'my shop'\n```\n",
    );
    expect(failureSummary({ ...FAILED, exitCode: 4, error, help: { lastGoodBackup: null } })).toMatch(
      /^### \u274c MongoDB backup of shop\/mongodb failed: data is not what it should be \(exit code 4\)[^]*\*\*Last good backup\*\*: none\n$/,
    );
    expect(failureSummary({ ...FAILED, outcome: 'refused', exitCode: 5, error })).toContain('mongodb was refused (exit code 5)');
  });

  test('says nothing twice: only what the page of the step has not said', () => {
    const page =
      '### \u274c 2 of 3 backups FAILED validation\n\n| a | FAILED: Region 3 of &lt;x> is damaged. |\n| b | FAILED: It is cut. |\n';
    const message = '2 backups of 3 failed:\n- Region 3 of <x> is damaged.\n- It is cut.';
    const error = { kind: 'verification' as const, message, fix: 'Make a new backup now.' };
    expect(failureSummary({ ...FAILED, exitCode: 4, error }, page)).toBe('Make a new backup now.\n');
    const command = 'lifeboat mongodb-backup --component mongodb';
    const status = `### \u274c shop: CRITICAL\n\n- **critical**: It is missing.\n\nRun next\n\n\`\`\`\n${command}\n\`\`\`\n`;
    const missing = { kind: 'failed' as const, message: 'It is missing.', fix: `Run next: ${command}` };
    expect(failureSummary({ ...FAILED, exitCode: 1, error: missing, help: { next: command } }, status)).toBe('');
    const table = '### \u274c shop: 1 check of 2 FAILED\n\n| vault-access | FAILED | It is away. |\n\n**vault-access**: Mount it.\n';
    const checks = {
      kind: 'failed' as const,
      message: '1 check of 2 failed:\n- vault-access: It is away.',
      fix: 'The summary says what to do.',
    };
    expect(failureSummary({ ...FAILED, exitCode: 1, error: checks }, table)).toBe('');
    const unsaid = { ...checks, message: '1 check of 2 failed:\n- key-access: It is away.' };
    expect(failureSummary({ ...FAILED, exitCode: 1, error: unsaid }, table)).toContain('> - key-access: It is away.');
    const other = { ...missing, message: 'Something else.' };
    expect(failureSummary({ ...FAILED, exitCode: 1, error: other }, status)).toBe('> Something else.\n');
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

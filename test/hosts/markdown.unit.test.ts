import { describe, expect, test } from '@jest/globals';
import { renderMarkdown } from '../../shared/hosts/markdown.ts';

const style = { bold: (text: string) => `<${text}>`, dim: (text: string) => text };

describe('renderMarkdown', () => {
  test('aligns the columns of a table and drops its rule', () => {
    const markdown = '| What | Value |\n| --- | ---: |\n| **Documents** | 1,234 |\n| Store | `https://x/y` |';
    expect(renderMarkdown(markdown, style)).toBe('What       Value\n  Documents  1,234\n  Store      https://x/y');
  });

  test('a table without headings shows its rows only', () => {
    expect(renderMarkdown('| | |\n| --- | --- |\n| a | b |', style)).toBe('a  b');
  });

  test('a pipe escaped in a cell stays in the cell', () => {
    expect(renderMarkdown('| a |\n| --- |\n| x \\| y |', style)).toContain('x | y');
  });

  test('headings and strong words are bold, code is plain, links show their address', () => {
    expect(renderMarkdown('## Backup\n\n**Done**: `lifeboat x` [docs](https://e.org)', style)).toBe(
      '<Backup>\n\n<Done>: lifeboat x docs (https://e.org)',
    );
  });

  test('a code block is indented and otherwise untouched', () => {
    expect(renderMarkdown('Restore:\n```console\nlifeboat mongodb-restore **x**\n```', style)).toBe(
      'Restore:\n    lifeboat mongodb-restore **x**',
    );
  });
});

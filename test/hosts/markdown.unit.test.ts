import { describe, expect, test } from '@jest/globals';
import { renderMarkdown } from '../../shared/hosts/markdown.ts';

const style = { bold: (text: string) => `<${text}>`, dim: (text: string) => text };

describe('renderMarkdown', () => {
  test('aligns the columns of a table and drops its rule', () => {
    const markdown = '| What | Value |\n| --- | ---: |\n| **Documents** | 1,234 |\n| Store | `https://x/y` |';
    expect(renderMarkdown(markdown, style)).toBe('What             Value\n  Documents        1,234\n  Store      https://x/y');
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

  describe('on a terminal of some width', () => {
    const table = ['| check | | seen |', '| --- | --- | --- |', '| space | ok | 67 GiB free at /mnt/backups, more than enough |'].join(
      '\n',
    );

    test('the widest column of a table gives way, word by word', () => {
      expect(renderMarkdown(table, style, 40)).toBe(
        ['check      seen', '  space  ok  67 GiB free at', '             /mnt/backups, more than', '             enough'].join('\n'),
      );
    });

    test('a table that cannot be made to fit becomes a list', () => {
      expect(renderMarkdown('| name | store | state |\n| --- | --- | --- |\n| mongodb | primary-and-far | healthy |', style, 24)).toBe(
        ['<mongodb>', '    store  primary-and-far', '    state  healthy'].join('\n'),
      );
    });

    test('figures stay to the right and in one piece', () => {
      const sizes = '| store | size |\n| --- | ---: |\n| near | 1.5\u00a0GiB |\n| far | 20\u00a0GiB |';
      expect(renderMarkdown(sizes, style, 20)).toBe('store     size\n  near   1.5 GiB\n  far     20 GiB');
    });

    test('prose is broken between words, strong ones stay strong, and a command stays whole', () => {
      expect(renderMarkdown('- **critical**: the backup of mongodb is **much too late** now', style, 30)).toBe(
        ['- <critical>: the backup of', '  mongodb is <much> <too> <late> now'].join('\n'),
      );
      expect(renderMarkdown('```\nlifeboat backup-validation --component mongodb\n```', style, 20)).toBe(
        'lifeboat backup-validation --component mongodb',
      );
    });
  });

  test('what was escaped for a web page reads as it was', () => {
    expect(renderMarkdown('| a |\n| --- |\n| x &lt;y> &amp;amp; |', style)).toContain('x <y> &amp;');
  });
});

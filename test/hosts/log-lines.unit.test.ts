import { describe, expect, test } from '@jest/globals';
import { inertOnAzure, inertOnGithub } from '../../shared/hosts/log-lines.ts';

describe('log lines with data in them', () => {
  test.each(['::set-output name=x::y', '  ::error::gone', 'fine\n::stop-commands::x'])('%j is no command on GitHub', (line) => {
    for (const shown of inertOnGithub(line).split('\n')) expect(shown.trimStart().startsWith('::')).toBe(false);
  });

  test('the old command form is defused anywhere in a line on GitHub', () => {
    expect(inertOnGithub('name ##[set-env name=x]y')).not.toContain('##[');
  });

  test.each(['##vso[task.setvariable variable=x]y', 'db ##VSO[task.complete result=Succeeded;]', '##[error]x'])(
    '%j is no command on Azure',
    (line) => {
      expect(inertOnAzure(line)).not.toMatch(/##(vso)?\[/i);
    },
  );

  test('ordinary lines stay as they are', () => {
    const line = 'shop.orders: 12 documents, a::b, # heading';
    expect(inertOnGithub(line)).toBe(line);
    expect(inertOnAzure(line)).toBe(line);
  });
});

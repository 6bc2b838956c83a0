import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readSecret, secretFileOption, secretOnCommandLine, secretVariable } from '../../shared/hosts/terminal-secrets.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-secrets-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('secrets on a terminal', () => {
  test('come from the variable, which children then do not inherit', () => {
    const env = { LIFEBOAT_MONGODB_URI: 'mongodb://u:p@h' };
    expect(readSecret('mongodbUri', undefined, env)).toBe('mongodb://u:p@h');
    expect(env).toEqual({});
  });

  test('come from a file without its last line end, and the file wins over the variable', () => {
    const file = join(folder, 'uri');
    writeFileSync(file, 'line one\nline two\n');
    expect(readSecret('mongodbUri', file, { LIFEBOAT_MONGODB_URI: 'other' })).toBe('line one\nline two');
  });

  test('a file that is missing or empty is a usage error that names the option', () => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, '\n');
    expect(() => readSecret('mongodbUri', empty, {})).toThrow(/--mongodb-uri-file .* is empty/);
    expect(() => readSecret('mongodbUri', join(folder, 'nowhere'), {})).toThrow(/--mongodb-uri-file .* cannot be read/);
  });

  test('an empty variable is not given', () => {
    expect(readSecret('storeSas', undefined, { LIFEBOAT_STORE_SAS: '' })).toBeUndefined();
  });

  test('names are derived from the input', () => {
    expect([secretVariable('azureClientSecret'), secretFileOption('azureClientSecret')]).toEqual([
      'LIFEBOAT_AZURE_CLIENT_SECRET',
      '--azure-client-secret-file',
    ]);
    expect(secretOnCommandLine('storeSas').fix).toContain('LIFEBOAT_STORE_SAS');
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { backupKeyName, secretName } from '../../shared/vaults/secret-name.ts';

describe('names of secrets', () => {
  test('any text becomes a name that every vault takes, and no two texts the same one', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.oneof(fc.string(), fc.stringMatching(/^[a-cA-C_.-]{1,4}$/)), { minLength: 2, maxLength: 20 }),
        (texts) => {
          const made = texts.map(secretName);
          for (const name of made) expect(name).toMatch(/^[0-9a-z-]{1,127}$/);
          expect(new Set(made).size).toBe(texts.length);
        },
      ),
    );
  });

  test('a name that is fine stays as it is', () => {
    expect(secretName('mongodb-prod-2')).toBe('mongodb-prod-2');
  });

  test('a backup key is called as the seeds call it', () => {
    expect(backupKeyName('mongodb', '20241201_120000')).toBe('lifeboat-mongodb-20241201-120000');
    expect(backupKeyName('Mongo_DB', '20241201_120000')).toMatch(/^lifeboat-mongo-db-[0-9a-f]{10}-20241201-120000$/);
    expect(backupKeyName('x'.repeat(200), '20241201_120000').length).toBeLessThanOrEqual(127);
  });
});

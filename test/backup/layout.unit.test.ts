// Names: what may be one, and that every name is read back as it was made.
import { describe, expect, test } from '@jest/globals';
import {
  auditName,
  backupNames,
  checkComponent,
  lockName,
  parseAuditName,
  parseBackupObject,
  parseRunName,
  pointName,
  proofName,
  runName,
  statusName,
} from '../../shared/backup/layout.ts';
import { UsageError } from '../../shared/step/errors.ts';
import { TIME } from './support.ts';

describe('layout', () => {
  test('names are those of the format', () => {
    expect(backupNames('prod/eu', 'mongodb', TIME)).toEqual({
      folder: 'prod/eu/mongodb/20241201_120000/',
      data: 'prod/eu/mongodb/20241201_120000/data',
      manifest: 'prod/eu/mongodb/20241201_120000/manifest.json',
      prune: 'prod/eu/mongodb/20241201_120000/prune.json',
    });
    expect(backupNames('', 'mongodb', TIME).data).toBe('mongodb/20241201_120000/data');
    expect(lockName('prod', 'mongodb')).toBe('prod/locks/mongodb');
    expect(pointName('prod', TIME)).toBe('prod/points/20241201_120000.json');
    expect(proofName('prod', TIME, 'mongodb')).toBe('prod/proofs/20241201_120000-mongodb.json');
    expect(runName('prod', TIME, 'mongodb-backup')).toBe('prod/runs/20241201_120000-mongodb-backup.json');
    expect(auditName('prod', TIME, '4711', 2)).toBe('prod/audit/20241201_120000-4711-2.json');
    expect(statusName('prod')).toBe('prod/status.json');
  });

  test('names are read back', () => {
    expect(parseBackupObject('prod', 'prod/mongodb/20241201_120000/data')).toEqual({ component: 'mongodb', timestamp: TIME, file: 'data' });
    expect(parseRunName('', runName('', TIME, 'list-backups', 3))).toEqual({ timestamp: TIME, step: 'list-backups', attempt: 3 });
  });

  test.each(['', 'A', '1a', 'a-', '-a', 'a_b', 'a.b', '..', 'a/b', 'a\n', 'ä', 'a'.repeat(64), 'runs', 'locks', 'points', 'proofs'])(
    'refuses the component %j',
    (component) => {
      expect(() => checkComponent(component)).toThrow(UsageError);
    },
  );

  test.each(['a', 'mongodb', 'state-2', 'a'.repeat(63)])('accepts the component %j', (component) => {
    expect(checkComponent(component)).toBe(component);
  });

  test.each(['..', '../x', 'x/..', '/x', 'x/', 'x//y', '.hidden', 'a b', 'x\ny'])('refuses the prefix %j', (prefix) => {
    expect(() => backupNames(prefix, 'mongodb', TIME)).toThrow(UsageError);
  });

  test("an audit entry's name is made of any run's id, and tells its moment", () => {
    for (const run of ['12345/attempt 2', '../../etc', '', 'é', 'x'.repeat(300)]) {
      const name = auditName('prod', TIME, run, 1);
      expect(name).toMatch(/^prod\/audit\/20241201_120000-[A-Za-z0-9][A-Za-z0-9-]{0,63}-1\.json$/);
      expect(parseAuditName('prod', name)).toBe(TIME);
    }
    expect(parseAuditName('prod', 'prod/audit/20241301_120000-1-1.json')).toBeUndefined();
    expect(parseAuditName('prod', 'prod/runs/20241201_120000-1-1.json')).toBeUndefined();
  });
});

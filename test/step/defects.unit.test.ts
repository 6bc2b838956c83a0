// A mistake of the program is told as one, never as a network, a disk or a service that failed.
import { describe, expect, test } from '@jest/globals';
import { signInError } from '../../shared/azure/sign-in-errors.ts';
import { findingOf } from '../../shared/backup/finding.ts';
import { isDefect, UserError } from '../../shared/step/errors.ts';
import { azureError } from '../../shared/stores/azure/errors.ts';
import { folderError } from '../../shared/stores/folder/files.ts';
import { explained } from '../../shared/stores/patience.ts';
import { sftpAway, sftpError } from '../../shared/stores/sftp/connection.ts';
import { KeyVaultRequests } from '../../shared/vaults/azure-key-vault/requests.ts';

const DEFECTS = [
  ['a name that is not defined', new ReferenceError('__dirname is not defined')],
  ['a call of what is no function', new TypeError('x.then is not a function')],
  ['an argument that Node.js refuses', Object.assign(new TypeError('wrong'), { code: 'ERR_INVALID_ARG_TYPE' })],
] as const;
const FAILURES = [
  [
    'a connection that fetch could not make',
    new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }) }),
  ],
  ['an answer that broke off', new TypeError('terminated', { cause: new Error('other side closed') })],
  ['a system error', Object.assign(new Error('no'), { code: 'ECONNRESET' })],
  ['an error of ours', new UserError('no')],
  ['an answer of a service', Object.assign(new TypeError('no'), { $metadata: { httpStatusCode: 502 } })],
  ['text', 'no'],
] as const;

test.each(DEFECTS)('%s is a defect', (_what, error) => {
  expect(isDefect(error)).toBe(true);
});

test.each(FAILURES)('%s is none', (_what, error) => {
  expect(isDefect(error)).toBe(false);
});

describe.each(DEFECTS)('%s', (_what, error) => {
  const place = { account: 'a', container: 'c', url: 'https://a.example.org/c', access: 'sas' as const };
  const requests = new KeyVaultRequests('https://kv.example.org', { credential: { getToken: async () => null } });
  test.each([
    ['azure-blob', () => explained(error, (cause) => azureError('Reading x', cause, place))],
    ['s3 and sftp', () => explained(error, (cause) => sftpError('Reading x', cause))],
    ['folder', () => folderError('Reading x', error)],
    ['Key Vault', () => requests.explain(error, { action: 'read x', needs: 'secrets' })],
    ['sign-in', () => signInError('OIDC', error, {}, 'fix')],
  ])('passes %s as it is', (_room, tell) => {
    expect(tell).toThrow(error);
  });

  test('is no outage to wait for', () => {
    expect(sftpAway(error)).toBeUndefined();
  });

  test('is told by doctor as a defect with its stack', () => {
    const { status, fix } = findingOf(error);
    expect(status).toBe('failed');
    expect(fix).toMatch(/defect in Lifeboat[\s\S]*defects\.unit\.test/);
  });
});

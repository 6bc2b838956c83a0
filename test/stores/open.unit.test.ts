// Addresses of stores: what they mean, and what is said about wrong ones.
import { resolve } from 'node:path';
import { expect, test } from '@jest/globals';
import { UsageError } from '../../shared/step/errors.ts';
import { openStore, parseStoreAddress, secretInStoreAddress, STORE_KINDS, type StoreConfig } from '../../shared/stores/open.ts';

const credential = () => ({ getToken: async () => null });

test.each([
  ['/srv/backups', { kind: 'folder', path: '/srv/backups' }],
  ['backups', { kind: 'folder', path: 'backups' }],
  ['file:///srv/my%20backups', { kind: 'folder', path: '/srv/my backups' }],
  [
    'https://stdr.blob.core.windows.net/backups',
    { kind: 'azure-blob', account: 'stdr', container: 'backups', endpoint: 'https://stdr.blob.core.windows.net' },
  ],
  [
    'https://stdr.blob.core.usgovcloudapi.net/backups/team/a/',
    { kind: 'azure-blob', account: 'stdr', container: 'backups', prefix: 'team/a', endpoint: 'https://stdr.blob.core.usgovcloudapi.net' },
  ],
  [
    'https://127.0.0.1:10000/devstore1/backups/x?sv=2026&sig=abc%3D',
    {
      kind: 'azure-blob',
      account: 'devstore1',
      container: 'backups',
      prefix: 'x',
      endpoint: 'https://127.0.0.1:10000/devstore1',
      sas: 'sv=2026&sig=abc%3D',
    },
  ],
  ['s3://backups', { kind: 's3', bucket: 'backups' }],
  [
    's3://backups/team/a/?region=eu-central-1&endpoint=https%3A%2F%2Fs3.example.org&lockDays=30',
    { kind: 's3', bucket: 'backups', prefix: 'team/a', region: 'eu-central-1', endpoint: 'https://s3.example.org', lockDays: 30 },
  ],
  [
    'sftp://me@nas:2222/srv/my%20backups?fingerprint=SHA256:a+b/c&keyFile=/home/me/key',
    { kind: 'sftp', host: 'nas', port: 2222, user: 'me', path: '/srv/my backups', fingerprint: 'SHA256:a+b/c', keyFile: '/home/me/key' },
  ],
  ['sftp://me@nas/~/backups?fingerprint=SHA256:a', { kind: 'sftp', host: 'nas', user: 'me', path: 'backups', fingerprint: 'SHA256:a' }],
] as [string, StoreConfig][])('%s is understood', (address, config) => {
  expect(parseStoreAddress(address)).toEqual(config);
});

test.each([
  ['ftp://host/backups', /"ftp:" is not a known kind/],
  ['s3://bucket?zone=a', /unknown setting "zone"/],
  ['s3://bucket?lockDays=-1', /not the address of a bucket/],
  ['sftp://me@nas/backups', /lacks the fingerprint of its host key/],
  ['sftp://nas/backups?fingerprint=SHA256:a', /not the address of a folder/],
  ['sftp://me:hidden@nas/backups?fingerprint=SHA256:a', /has a password in it/],
  ['https://example.org/backups', /not an address of Azure Blob storage/],
  ['https://stdr.blob.core.windows.net', /names no container/],
  ['https://stdr.blob.core.windows.net/Backups', /"Backups" cannot be a container's name/],
  ['https://stdr.blob.core.windows.net/backups?sv=2026', /not a SAS/],
  ['http://stdr.blob.core.windows.net/backups?sig=x', /begins with http/],
  ['https://stdr.blob.core.windows.net/backups/100%', /not the address of a store/],
  ['s3://backups/%zz', /not the address of a store/],
  ['sftp://me@nas/%zz?fingerprint=SHA256:a', /not the address of a store/],
  ['file://nas/backups', /not the address of a folder on this machine/],
  ['file:///a%2fb', /not the address of a folder on this machine/],
])('%s is refused with the reason', (address, message) => {
  expect(() => parseStoreAddress(address)).toThrow(UsageError);
  expect(() => parseStoreAddress(address)).toThrow(message);
});

test('a location opens the same store again and holds no secret', async () => {
  for (const address of [
    '/srv/backups',
    'https://stdr.blob.core.windows.net/backups/team',
    'https://stdr.blob.core.windows.net/backups?sig=secretvalue&sv=2026',
    's3://backups/team?region=eu-central-1&lockDays=30',
    'sftp://me@nas:2222/srv/backups?fingerprint=SHA256:a%2Bb',
    'sftp://me@nas/~/backups?fingerprint=SHA256:a%2Bb',
  ]) {
    const store = await openStore(address, { credential });
    expect(store.location).not.toContain('secretvalue');
    expect((await openStore(store.location, { credential })).location).toBe(store.location);
  }
  expect((await openStore('relative')).location).toBe(resolve('relative'));
});

test('only the query of an address is its secret', () => {
  expect(secretInStoreAddress('https://stdr.blob.core.windows.net/backups?sig=x&sv=1')).toBe('sig=x&sv=1');
  expect(secretInStoreAddress('https://stdr.blob.core.windows.net/backups')).toBeUndefined();
  expect(secretInStoreAddress('/srv/what?')).toBeUndefined();
});

test('a store in Azure needs a sign-in or a SAS, and an unknown kind lists the known ones', async () => {
  await expect(openStore('https://stdr.blob.core.windows.net/backups')).rejects.toThrow(/needs a sign-in/);
  await expect(openStore({ kind: 'ftp', path: '/' } as unknown as StoreConfig)).rejects.toMatchObject({
    fix: `Use one of: ${STORE_KINDS.join(', ')}.`,
  });
});

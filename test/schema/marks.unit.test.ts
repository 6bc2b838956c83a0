// Which fields of dr.yml are secrets and which are paths on this machine: marks beside the field, read by one walk.
import { describe, expect, test } from '@jest/globals';
import { parseDr } from '../../shared/config/load.ts';
import { drSchema } from '../../shared/config/schema.ts';
import { marksAt } from '../../shared/schema/marks.ts';

const DATA = {
  stores: {
    blob: { kind: 'azure-blob', sas: '', connectionString: '', account: '' },
    disk: { kind: 'folder', path: '' },
    bucket: { kind: 's3', accessKeyId: '', secretAccessKey: '' },
    server: { kind: 'sftp', path: '', keyFile: '', privateKey: '', passphrase: '', password: '' },
  },
  vault: { kind: 'folder', path: '' },
  keys: [{ kind: 'escrow', publicKey: '' }],
  components: { db: { kind: 'mongodb', source: { uri: '', kubernetes: { uri: '', namespace: '' } } } },
  notify: [
    { kind: 'webhook', url: '', secret: '', components: [''] },
    { kind: 'slack', url: '' },
    { kind: 'teams', url: '' },
    { kind: 'rocketchat', url: '' },
    { kind: 'email', url: '', from: '', to: [''] },
    { kind: 'heartbeat', url: '' },
  ],
};

/** Every text of a value, by its path. */
function texts(value: unknown, path: PropertyKey[] = []): PropertyKey[][] {
  if (typeof value === 'string') return [path];
  return Object.entries(value as object).flatMap(([key, item]) => texts(item, [...path, key]));
}

const marked = (mark: 'secret' | 'path'): string[] =>
  texts(DATA)
    .filter((path) => marksAt(drSchema, path, DATA)[mark])
    .map((path) => path.join('.'));

describe('of everything that dr.yml may say', () => {
  test('these are secrets, and nothing else', () => {
    expect(marked('secret')).toEqual([
      'stores.blob.sas',
      'stores.blob.connectionString',
      'stores.bucket.secretAccessKey',
      'stores.server.privateKey',
      'stores.server.passphrase',
      'stores.server.password',
      'components.db.source.uri',
      'components.db.source.kubernetes.uri',
      'notify.0.url',
      'notify.0.secret',
      'notify.1.url',
      'notify.2.url',
      'notify.3.url',
      'notify.4.url',
      'notify.5.url',
    ]);
  });

  test('these are paths on this machine; that of an SFTP server is not', () => {
    expect(marked('path')).toEqual(['stores.disk.path', 'stores.server.keyFile', 'vault.path', 'keys.0.publicKey']);
  });

  test('what is not there, or of a kind that is not known, has no mark', () => {
    expect(marksAt(drSchema, ['stores', 'x', 'sas'], { stores: { x: { kind: 'tape', sas: '' } } })).toEqual({ secret: false, path: false });
    expect(marksAt(drSchema, ['nothing', 'here'], {})).toEqual({ secret: false, path: false });
  });
});

test('a store is resolved by its marks: secrets are masked, paths are absolute, numbers stay', async () => {
  const masked: string[] = [];
  const config = parseDr(
    `version: 1
name: shop
stores:
  server:
    { kind: sftp, host: "\${env:HOST}", port: 2222, user: me, path: backups, keyFile: keys/id, password: "\${env:PASSWORD}",
      fingerprint: "SHA256:${'a'.repeat(43)}" }
components:
  db: { kind: mongodb, source: { uri: "\${env:URI}" }, store: server }
`,
    '/etc/shop/dr.yml',
    { env: { HOST: 'nas', PASSWORD: 'hidden' }, mask: (secret) => masked.push(secret) },
  );
  expect(await config.store('server')).toMatchObject({
    kind: 'sftp',
    host: 'nas',
    port: 2222,
    path: 'backups',
    keyFile: '/etc/shop/keys/id',
    password: 'hidden',
  });
  expect([...new Set(masked)]).toEqual(['hidden']);
});

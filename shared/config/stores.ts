// Where bytes go, as dr.yml says it: one entry per kind of store.
import { z } from 'zod';
import { about, choice, integer, path, text } from '../schema/fields.ts';

/** Segments of names within a store: never empty, `.` or `..`. */
const PREFIX = String.raw`(?!\.{1,2}(?:/|$))[^/\s\\]+(?:/(?!\.{1,2}(?:/|$))[^/\s\\]+)*`;

const prefix = text(
  { description: "Folder in the container or bucket, in which the folder with dr.yml's name is made.", example: 'team-a' },
  { pattern: PREFIX, expected: 'expected names separated by /, without . or ..' },
).optional();

/** A secret: only a reference will do. */
function secret(description: string, example: string) {
  return text({ description, example }, { pattern: '(?!)', expected: `expected a reference to a secret, such as ${example}` }).optional();
}

const azureBlob = z.strictObject({
  kind: about(z.literal('azure-blob'), { description: 'A container of Azure Blob Storage.', example: 'azure-blob' }),
  account: text(
    { description: 'Name of the storage account.', example: 'stdrprod' },
    { pattern: '[a-z0-9]{3,24}', expected: "expected a storage account's name: 3 to 24 lower-case letters and digits" },
  ),
  container: text(
    { description: 'Name of the container. It must exist.', example: 'backups' },
    {
      pattern: String.raw`(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*|\$(?:root|web)`,
      expected: "expected a container's name: 3 to 63 lower-case letters, digits and single dashes",
    },
  ),
  prefix,
  endpoint: text(
    {
      description:
        'Address of the blob service, for sovereign clouds, private endpoints and emulators. Default: https://<account>.blob.core.windows.net.',
      example: 'https://stdrprod.blob.core.usgovcloudapi.net',
    },
    { pattern: String.raw`https?://[^\s?#]+`, expected: 'expected an address that starts with https://' },
  ).optional(),
  sas: text(
    {
      description: 'Shared access signature, where signing in with an identity is not possible. Always a reference.',
      example: '${env:STORE_SAS}',
    },
    { pattern: '(?!)', expected: 'expected a reference to a secret, such as ${env:STORE_SAS}' },
  ).optional(),
  connectionString: text(
    {
      description: 'Connection string with an account key, where neither an identity nor a SAS is possible. Always a reference.',
      example: '${env:STORE_CONNECTION_STRING}',
    },
    { pattern: '(?!)', expected: 'expected a reference to a secret, such as ${env:STORE_CONNECTION_STRING}' },
  ).optional(),
  tier: choice(['hot', 'cool', 'cold', 'archive'], {
    description:
      'Access tier to which data is moved once it is proved and copied; manifests stay where they are. Archived data takes hours to bring back. Default: the tier of the account.',
    example: 'cool',
  }).optional(),
});

const folder = z.strictObject({
  kind: about(z.literal('folder'), { description: 'A folder, local or mounted.', example: 'folder' }),
  path: path(
    { description: "Path of the folder; a relative one starts at dr.yml's own folder, ~/ at the user's home.", example: '/mnt/backups' },
    'expected the path of a folder, such as /mnt/backups or ~/backups',
  ),
});

const s3 = z.strictObject({
  kind: about(z.literal('s3'), { description: 'A bucket of S3 or of a compatible service.', example: 's3' }),
  bucket: text(
    { description: 'Name of the bucket. It must exist.', example: 'dr-backups' },
    {
      pattern: String.raw`[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]`,
      expected: "expected a bucket's name: 3 to 63 lower-case letters, digits, dots and dashes",
    },
  ),
  prefix,
  region: text(
    { description: 'Region of the bucket. Default: that of the environment (AWS_REGION, or the profile).', example: 'eu-central-1' },
    { pattern: '[a-z0-9-]+', expected: 'expected the name of a region, such as eu-central-1' },
  ).optional(),
  endpoint: text(
    { description: 'Address of the service, where it is not AWS.', example: 'https://s3.example.org' },
    { pattern: String.raw`https?://[^\s?#]+`, expected: 'expected an address that starts with https://' },
  ).optional(),
  storageClass: choice(['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR'], {
    description:
      'Storage class that data is written with; manifests are written with the standard one. Only classes that can be read at once; for a deeper archive use a lifecycle rule of the bucket.',
    example: 'STANDARD_IA',
  }).optional(),
  accessKeyId: text(
    {
      description: 'Access key id, together with secretAccessKey. Default: the credentials of the environment.',
      example: '${env:S3_ACCESS_KEY_ID}',
    },
    { pattern: String.raw`[\w.-]+`, expected: 'expected an access key id' },
  ).optional(),
  secretAccessKey: secret('Secret access key. Always a reference.', '${env:S3_SECRET_ACCESS_KEY}'),
  lockDays: integer(
    { min: 1, max: 36_500 },
    {
      description:
        'Days for which backups cannot be deleted without s3:BypassGovernanceRetention (object lock, GOVERNANCE). The bucket must have object lock.',
      example: 30,
    },
  ).optional(),
});

const sftp = z.strictObject({
  kind: about(z.literal('sftp'), { description: 'A folder of an SFTP server, such as OpenSSH.', example: 'sftp' }),
  host: text(
    { description: 'Name or address of the server.', example: 'backup.example.org' },
    { pattern: String.raw`[A-Za-z0-9.:-]+`, expected: 'expected the name or address of a server' },
  ),
  port: integer({ min: 1, max: 65_535 }, { description: 'Port of the server. Default: 22.', example: 2222 }).optional(),
  user: text(
    { description: 'Name to sign in with.', example: 'lifeboat' },
    { pattern: String.raw`[^\s:@/]+`, expected: "expected a user's name" },
  ),
  path: path(
    { description: "Folder on the server; a relative one starts in the user's home.", example: '/srv/backups' },
    'expected the path of a folder, such as /srv/backups',
  ),
  fingerprint: text(
    {
      description: "Fingerprint of the server's host key, as `ssh-keyscan <host> | ssh-keygen -lf -` shows it.",
      example: 'SHA256:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdE',
    },
    { pattern: 'SHA256:[A-Za-z0-9+/]{43}', expected: 'expected a fingerprint such as SHA256: and 43 characters' },
  ),
  keyFile: path(
    {
      description: "Private key file; a relative path starts at dr.yml's own folder. Default: the SSH agent (SSH_AUTH_SOCK).",
      example: '~/.ssh/id_ed25519',
    },
    'expected the path of a private key file, such as ~/.ssh/id_ed25519',
  ).optional(),
  privateKey: secret('Text of the private key, instead of a file. Always a reference.', '${env:SFTP_PRIVATE_KEY}'),
  passphrase: secret('Passphrase of the private key. Always a reference.', '${env:SFTP_PASSPHRASE}'),
  password: secret('Password, where a key is not possible. Always a reference.', '${env:SFTP_PASSWORD}'),
});

export const storeSchema = z.discriminatedUnion('kind', [azureBlob, folder, s3, sftp]);

/** A store entry of dr.yml; references are resolved by DrConfig. */
export type StoreEntry = z.infer<typeof storeSchema>;

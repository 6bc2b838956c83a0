// Where bytes go, as dr.yml says it: one entry per kind of store.
import { z } from 'zod';
import { about, text } from './fields.ts';

/** Segments of names within a store: never empty, `.` or `..`. */
const PREFIX = String.raw`(?!\.{1,2}(?:/|$))[^/\s\\]+(?:/(?!\.{1,2}(?:/|$))[^/\s\\]+)*`;

const prefix = text(
  { description: "Folder in the container; what dr.yml's name stands for comes below it.", example: 'team-a' },
  { pattern: PREFIX, expected: 'expected names separated by /, without . or ..' },
).optional();

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
});

const folder = z.strictObject({
  kind: about(z.literal('folder'), { description: 'A folder, local or mounted.', example: 'folder' }),
  path: text(
    { description: "Path of the folder; a relative one starts at dr.yml's own folder.", example: '/mnt/backups' },
    { expected: 'expected the path of a folder, such as /mnt/backups' },
  ),
});

export const storeSchema = z.discriminatedUnion('kind', [azureBlob, folder]);

/** A store entry of dr.yml; references are resolved by DrConfig. */
export type StoreEntry = z.infer<typeof storeSchema>;

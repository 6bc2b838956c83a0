// A container of Azure Blob Storage, as dr.yml says it.
import { z } from 'zod';
import { about, choice, secretReference, text } from '../../schema/fields.ts';
import { prefix } from '../prefix-field.ts';
import { AZURE_TIERS } from './tier.ts';

export const schema = z.strictObject({
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
  sas: secretReference(
    'Shared access signature, where signing in with an identity is not possible. Always a reference.',
    '${env:STORE_SAS}',
  ).optional(),
  connectionString: secretReference(
    'Connection string with an account key, where neither an identity nor a SAS is possible. Always a reference.',
    '${env:STORE_CONNECTION_STRING}',
  ).optional(),
  tier: choice(AZURE_TIERS, {
    description:
      'Access tier to which data is moved once it is proved and copied; manifests stay where they are. Archived data takes hours to bring back. Default: the tier of the account.',
    example: 'cool',
  }).optional(),
});

/** `dr.yml`: `{ kind: azure-blob, account: stdrprod, container: backups }`, references resolved. */
export type AzureBlobStoreConfig = z.infer<typeof schema>;

// A bucket of S3, as dr.yml says it.
import { z } from 'zod';
import { about, choice, integer, secretReference, text } from '../../schema/fields.ts';
import { prefix } from '../prefix-field.ts';
import { S3_CLASSES } from './tier.ts';

export const schema = z.strictObject({
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
  storageClass: choice(S3_CLASSES, {
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
  secretAccessKey: secretReference('Secret access key. Always a reference.', '${env:S3_SECRET_ACCESS_KEY}').optional(),
  lockDays: integer(
    { min: 1, max: 36_500 },
    {
      description:
        'Days for which backups cannot be deleted without s3:BypassGovernanceRetention (object lock, GOVERNANCE). The bucket must have object lock.',
      example: 30,
    },
  ).optional(),
});

/** `dr.yml`: `{ kind: s3, bucket: backups, region: eu-central-1 }`, references resolved. */
export type S3StoreConfig = z.infer<typeof schema>;

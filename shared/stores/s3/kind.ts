// Buckets of S3 as a kind of store.
import { UsageError } from '../../step/errors.ts';
import { folderOf, queryOf, waiting, withoutQuery, type StoreKind } from '../kind.ts';
import type { S3StoreConfig, schema } from './schema.ts';
import { S3_CLASSES } from './tier.ts';

export const s3: StoreKind<typeof schema> = {
  schema: async () => (await import('./schema.ts')).schema,
  address: 's3://<bucket>/<folder>?region=<region>',
  schemes: ['s3'],
  parse: (address) => parseS3Address(new URL(address)),
  advice: ({ region, endpoint }) =>
    region === undefined && endpoint === undefined && process.env['AWS_REGION'] === undefined
      ? 'has no region, and AWS_REGION is not set here: set region: to that of the bucket'
      : undefined,
  open: async (config, options) => (await import('./index.ts')).openS3Store(config, waiting(options)),
};

/** `s3://<bucket>/<folder>?region=&endpoint=&lockDays=&storageClass=`. The environment signs in. */
function parseS3Address(url: URL): S3StoreConfig {
  const settings = queryOf(url, ['region', 'endpoint', 'lockDays', 'storageClass']);
  const prefix = folderOf(url);
  const { region, endpoint, lockDays } = settings;
  const storageClass = S3_CLASSES.find((one) => one === settings.storageClass);
  if (
    url.hostname === '' ||
    (lockDays !== undefined && !/^[1-9]\d{0,4}$/.test(lockDays)) ||
    (endpoint !== undefined && !URL.canParse(endpoint)) ||
    storageClass !== settings.storageClass
  ) {
    throw new UsageError(`"${withoutQuery(url.href)}" is not the address of a bucket.`, {
      fix: 'Use s3://<bucket>/<folder>?region=<region>, with endpoint=https://… for a service that is not AWS, lockDays=<days> for object lock and storageClass=STANDARD_IA for a cheaper class that is readable at once.',
    });
  }
  return {
    kind: 's3',
    bucket: url.hostname,
    ...(prefix === '' ? {} : { prefix }),
    region,
    endpoint,
    ...(lockDays === undefined ? {} : { lockDays: Number(lockDays) }),
    storageClass,
  };
}

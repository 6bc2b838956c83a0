// A component of kind `mongodb` in dr.yml.
import { z } from 'zod';
import { about, choice, integer, plainText, text } from '../fields.ts';
import { retentionSchema } from '../retention.ts';
import { scheduleSchema } from '../schedule.ts';

/** `shop` or `shop.orders`, with `*` for anything; commas separate them where inputs are written as one text. */
const namespaces = (description: string, example: string[]) =>
  about(
    z
      .array(
        plainText(
          { description: 'A database or a collection; * matches anything.', example: example[0] },
          { pattern: String.raw`[^\s,$"\\/][^,$"\\/\r\n]*`, expected: 'expected a database (shop) or a collection (shop.orders)' },
        ),
        { error: `expected a list, such as [${example.join(', ')}]` },
      )
      .min(1, { error: `expected at least one entry, such as [${example.join(', ')}]` }),
    { description, example },
  ).optional();

const storeName = (description: string, example: string) =>
  plainText({ description, example }, { expected: `expected the name of a store under stores, such as ${example}` });

/** A misspelt key is told by itself; that it is also missing would only confuse. */
const isWell = ({ issues }: { issues: readonly unknown[] }): boolean => issues.length === 0;

const connectionString = (description: string) =>
  text(
    { description, example: '${env:MONGODB_URI}' },
    {
      pattern: String.raw`mongodb(?:\+srv)?://\S+`,
      expected: 'expected a connection string, such as ${env:MONGODB_URI} or mongodb://localhost:27017',
    },
  );

const kubernetesName = (description: string, example: string) =>
  plainText(
    { description, example },
    {
      pattern: '[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?',
      expected: `expected a name of lower-case letters, digits and dashes, such as ${example}`,
    },
  );

const kubernetesSchema = about(
  z
    .strictObject(
      {
        context: plainText(
          { description: 'Context in the kubeconfig; the current one when absent.', example: 'aks-prod' },
          { expected: 'expected the name of a context, such as aks-prod' },
        ).optional(),
        namespace: kubernetesName('Namespace of the pod.', 'rocketchat'),
        selector: plainText(
          {
            description: 'Label selector of the pods. Of several, a secondary is backed up and the primary is restored.',
            example: 'app.kubernetes.io/name=mongodb',
          },
          { pattern: String.raw`[^\s-][\s\S]*`, expected: 'expected a label selector, such as app.kubernetes.io/name=mongodb' },
        ).optional(),
        pod: kubernetesName('One pod by name, instead of a selector.', 'mongodb-0').optional(),
        container: kubernetesName(
          'The container with mongodump and mongorestore. Not needed when the pod has only one, or names its default.',
          'mongodb',
        ).optional(),
        uri: connectionString(
          "Connection string as seen from inside the pod. Default: localhost, with the root login of the pod's environment (official and Bitnami images).",
        ).optional(),
      },
      { error: 'expected a mapping, such as { namespace: rocketchat, selector: app.kubernetes.io/name=mongodb }' },
    )
    .refine(({ selector, pod }) => (selector === undefined) !== (pod === undefined), {
      error: 'expected one of selector (labels) and pod (a name)',
      when: isWell,
    }),
  {
    description: 'A pod that runs MongoDB: mongodump and mongorestore run inside it, by kubectl exec.',
    example: { namespace: 'rocketchat', selector: 'app.kubernetes.io/name=mongodb' },
  },
);

export const mongodbSchema = z.strictObject({
  kind: about(z.literal('mongodb'), { description: 'A MongoDB server, replica set or sharded cluster.', example: 'mongodb' }),
  source: about(
    z
      .strictObject(
        {
          uri: connectionString('Connection string of the MongoDB. A password in it is always a reference.').optional(),
          kubernetes: kubernetesSchema.optional(),
        },
        { error: 'expected a mapping' },
      )
      .refine(({ uri, kubernetes }) => (uri === undefined) !== (kubernetes === undefined), {
        error: 'expected one of uri (a connection string) and kubernetes (a pod)',
        when: isWell,
      }),
    { description: 'Where the data is: uri, or kubernetes.', example: { uri: '${env:MONGODB_URI}' } },
  ),
  engine: choice(['auto', 'tools', 'driver'], {
    description: 'tools: the official mongodump and mongorestore; driver: built in, nothing to install; auto: the tools if they are found.',
    example: 'auto',
  }).default('auto'),
  include: namespaces('Only these databases or collections; everything when absent.', ['rocketchat']),
  exclude: namespaces('Leave out these databases or collections.', ['rocketchat.rocketchat_sessions']),
  store: storeName('Store where the backups go, by name. Not needed when there is only one.', 'primary').optional(),
  copies: about(
    z.array(storeName('A further store, by name.', 'offsite'), { error: 'expected a list of store names, such as [offsite]' }).min(1, {
      error: 'expected at least one store name, such as [offsite]',
    }),
    { description: 'Further stores that get a copy of each backup, by name.', example: ['offsite'] },
  ).optional(),
  verify: choice(['full', 'sample', 'none'], {
    description: 'How much of a backup is read back from the store before it counts. Only full makes it verified.',
    example: 'full',
  }).default('full'),
  compression: about(
    z.strictObject(
      {
        kind: choice(['zstd', 'none'], { description: 'How the dump is compressed.', example: 'zstd' }).default('zstd'),
        level: integer({ min: 1, max: 19 }, { description: 'zstd level, 1 (fast) to 19 (small).', example: 3 }).default(3),
      },
      { error: 'expected a mapping, such as { kind: zstd, level: 3 }' },
    ),
    { description: 'How the dump is compressed.', example: { kind: 'zstd', level: 3 } },
  ).prefault({}),
  limits: about(
    z.strictObject({
      maxShrink: integer(
        { min: 1, max: 100 },
        {
          description:
            'A backup is suspect when a collection, or the whole, has lost more than this percentage of its documents since the last verified one.',
          example: 50,
        },
      ).default(50),
    }),
    { description: 'When a backup counts as suspect (outcome partial).', example: { maxShrink: 50 } },
  ).prefault({}),
  retention: retentionSchema.optional(),
  schedule: scheduleSchema.optional(),
});

export type MongodbComponent = z.infer<typeof mongodbSchema>;

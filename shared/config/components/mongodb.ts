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
          { description: 'A database or a collection; * stands for anything.', example: example[0] },
          { pattern: String.raw`[^\s,$"\\/][^,$"\\/\r\n]*`, expected: 'expected a database (shop) or a collection (shop.orders)' },
        ),
        { error: `expected a list, such as [${example.join(', ')}]` },
      )
      .min(1, { error: `expected at least one entry, such as [${example.join(', ')}]` }),
    { description, example },
  ).optional();

const storeName = (description: string, example: string) =>
  plainText({ description, example }, { expected: `expected the name of a store under stores, such as ${example}` });

export const mongodbSchema = z.strictObject({
  kind: about(z.literal('mongodb'), { description: 'A MongoDB server, replica set or sharded cluster.', example: 'mongodb' }),
  source: about(
    z.strictObject({
      uri: text(
        {
          description: 'Connection string of the MongoDB. A password in it is always a reference.',
          example: '${env:MONGODB_URI}',
        },
        {
          pattern: String.raw`mongodb(?:\+srv)?://\S+`,
          expected: 'expected a connection string, such as ${env:MONGODB_URI} or mongodb://localhost:27017',
        },
      ),
    }),
    { description: 'Where the data is.', example: { uri: '${env:MONGODB_URI}' } },
  ),
  engine: choice(['auto', 'tools', 'driver'], {
    description:
      'tools: the official mongodump and mongorestore; driver: built in, nothing to install; auto: the tools where they are found.',
    example: 'auto',
  }).default('auto'),
  include: namespaces('Only these databases or collections; everything when absent.', ['rocketchat']),
  exclude: namespaces('All but these databases or collections.', ['rocketchat.rocketchat_sessions']),
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
            'Doubtful when a collection or the whole has lost more than this many percent of its documents since the last verified backup.',
          example: 50,
        },
      ).default(50),
    }),
    { description: 'From where on a backup is doubtful (outcome partial).', example: { maxShrink: 50 } },
  ).prefault({}),
  retention: retentionSchema.optional(),
  schedule: scheduleSchema.optional(),
});

export type MongodbComponent = z.infer<typeof mongodbSchema>;

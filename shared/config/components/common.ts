// What dr.yml says of a component of any kind: where its backups go, how they are written, how long they stay, when they are made.
import { z } from 'zod';
import { about, choice, integer, plainText } from '../../schema/fields.ts';
import { retentionSchema } from '../retention.ts';
import { scheduleSchema } from '../schedule.ts';

const storeName = (description: string, example: string) =>
  plainText({ description, example }, { expected: `expected the name of a store under stores, such as ${example}` });

export const commonShape = {
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
};

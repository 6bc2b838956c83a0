// The whole of dr.yml as one schema: from it come the checks, the defaults and the JSON Schema that editors use.
import { z } from 'zod';
import { reservedName } from '../step/names.ts';
import { KINDS, type Kinds } from '../kinds/registry.ts';
import { componentSchemaOf } from './components/index.ts';
import { about, duration, entryName, NAME_PATTERN, plainText } from '../schema/fields.ts';
import { notifySchema } from './notify.ts';
import { storeSchema } from './stores.ts';
import { recipientSchema, vaultSchema } from './vaults.ts';

const objectivesSchema = z.strictObject({
  rpo: duration({ description: 'Recovery point objective: how much time of work may be lost.', example: '24h' }).optional(),
  rto: duration({ description: 'Recovery time objective: how long a recovery may take.', example: '90m' }).optional(),
  phases: about(
    z.record(entryName('phase', 40), duration({ description: 'Budget: how long this phase of a recovery may take.', example: '30m' }), {
      error: 'expected a mapping of phase names to durations, such as { mongodb: 30m }',
    }),
    { description: 'Budgets of the phases of a recovery; their sum is held against rto.', example: { mongodb: '30m' } },
  ).optional(),
});

/** The schema of a dr.yml whose components are of these kinds. */
export async function drSchemaOf(kinds: Kinds) {
  const componentSchema = await componentSchemaOf(kinds);
  return z
    .strictObject(
      {
        version: about(z.literal(1, { error: 'expected 1, the one version of this file so far' }), {
          description: 'Version of this file format.',
          example: 1,
        }),
        name: plainText(
          {
            description: 'Name of what is protected: the top folder in the store, and what you type to confirm anything destructive.',
            example: 'rocketchat-production',
          },
          {
            pattern: `(?=.{1,63}$)${NAME_PATTERN}`,
            expected: 'expected a name of lower-case letters, digits and dashes, at most 63 characters',
          },
        ).superRefine((name, context) => {
          const problem = reservedName(name);
          if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
        }),
        objectives: about(objectivesSchema, {
          description: 'How much may be lost and how long a recovery may take.',
          example: { rpo: '24h', rto: '90m', phases: { mongodb: '30m' } },
        }).optional(),
        stores: about(z.record(entryName('store', 40), storeSchema, { error: 'expected a mapping of names to stores' }), {
          description: 'Where bytes go, by name.',
          example: { primary: { kind: 'azure-blob', account: 'stdrprod', container: 'backups' } },
        }).optional(),
        vault: vaultSchema.optional(),
        keys: about(
          z
            .array(recipientSchema, { error: 'expected a list of key recipients, such as [{ kind: key-vault-secret }]' })
            .min(1, { error: 'expected at least one key recipient: without one no one could open a backup' }),
          {
            description: 'Who can open a backup, each one alone. Default: one key per backup in the vault.',
            example: [{ kind: 'key-vault-secret' }, { kind: 'escrow', publicKey: 'escrow-public.pem' }],
          },
        ).optional(),
        components: about(z.record(entryName('component', 40), componentSchema, { error: 'expected a mapping of names to components' }), {
          description: 'What is protected, by name. The name is the folder of its backups in the store.',
          example: { mongodb: { kind: 'mongodb', source: { uri: '${env:MONGODB_URI}' }, store: 'primary' } },
        }).refine((components) => Object.keys(components).length > 0, { error: 'expected at least one component' }),
        notify: notifySchema.optional(),
      },
      { error: 'expected a mapping of keys such as version, name, stores and components' },
    )
    .meta({ title: 'dr.yml', description: 'What is protected by Lifeboat, where it goes, how long it stays, how fast it must come back.' });
}

/** The schema with the kinds that this version knows. */
export const drSchema = await drSchemaOf(KINDS);

/** dr.yml with its defaults filled in. */
export type Dr = z.infer<typeof drSchema>;
export type DrSchema = typeof drSchema;

/** Keys of dr.yml that a later version will read. They are refused by name instead of silently ignored. `*` stands for one step. */
export const LATER_KEYS: readonly string[] = ['cluster', 'recovery'];

/** Kinds that a later version will know, by the path of the `kind` key. */
export const LATER_KINDS: Readonly<Record<string, readonly string[]>> = {
  'components.*.kind': ['volumes', 'secrets', 'terraform'],
};

// Where keys and secrets go, and who can open a backup, as dr.yml says it: each kind is described beside it.
import { z } from 'zod';
import { about } from '../schema/fields.ts';
import { RECIPIENTS, VAULTS, type RecipientSchema, type VaultSchema } from '../vaults/open.ts';

export const vaultSchema = about(
  z.discriminatedUnion(
    'kind',
    (await Promise.all(Object.values(VAULTS).map(async (kind): Promise<VaultSchema> => kind.schema()))) as [VaultSchema, ...VaultSchema[]],
  ),
  {
    description: 'Where the keys of backups are kept, and secrets named by ${vault:name}.',
    example: { kind: 'azure-key-vault', url: 'https://kv-dr-prod.vault.azure.net' },
  },
);

export const recipientSchema = z.discriminatedUnion(
  'kind',
  (await Promise.all(Object.values(RECIPIENTS).map(async (kind): Promise<RecipientSchema> => kind.schema()))) as [
    RecipientSchema,
    ...RecipientSchema[],
  ],
);

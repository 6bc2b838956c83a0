// Recipients that keep a key of its own for each backup in a vault, as dr.yml says them: one for each kind of vault.
import { z } from 'zod';
import { about } from '../../schema/fields.ts';

export const keyVaultSecret = z.strictObject({
  kind: about(z.literal('key-vault-secret'), {
    description: 'A key of its own for each backup, kept as a secret in the Key Vault of this file.',
    example: 'key-vault-secret',
  }),
});

export const folder = z.strictObject({
  kind: about(z.literal('folder'), {
    description: 'A key of its own for each backup, kept as a file in the folder vault of this file.',
    example: 'folder',
  }),
});

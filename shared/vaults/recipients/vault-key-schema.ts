// A key in a Key Vault as a recipient, as dr.yml says it.
import { z } from 'zod';
import { about, text } from '../../schema/fields.ts';

export const schema = z.strictObject({
  kind: about(z.literal('key-vault-key'), {
    description: 'An RSA key in a Key Vault that wraps the content key; it never leaves the vault.',
    example: 'key-vault-key',
  }),
  key: text(
    {
      description: 'Name of a key in the vault of this file, or the full address of a key.',
      example: 'https://kv-dr-prod.vault.azure.net/keys/backups',
    },
    {
      pattern: String.raw`[0-9A-Za-z-]{1,127}|https://[^\s/?#]+/keys/[0-9A-Za-z-]{1,127}(?:/[0-9a-f]+)?`,
      expected: "expected a key's name, such as backups, or its address, such as https://kv-dr-prod.vault.azure.net/keys/backups",
    },
  ),
});

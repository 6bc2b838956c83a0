// A Key Vault, as dr.yml says it.
import { z } from 'zod';
import { about, text } from '../../schema/fields.ts';

const HTTPS = String.raw`https://[^\s/?#]+/?`;

export const schema = z.strictObject({
  kind: about(z.literal('azure-key-vault'), { description: 'An Azure Key Vault.', example: 'azure-key-vault' }),
  url: text(
    { description: 'Address of the vault.', example: 'https://kv-dr-prod.vault.azure.net' },
    { pattern: HTTPS, expected: "expected the vault's address, such as https://kv-dr-prod.vault.azure.net" },
  ),
});

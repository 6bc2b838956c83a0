// Where keys and secrets go, and who can open a backup, as dr.yml says it.
import { z } from 'zod';
import { about, path, text } from '../schema/fields.ts';

const HTTPS = String.raw`https://[^\s/?#]+/?`;

export const vaultSchema = about(
  z.discriminatedUnion('kind', [
    z.strictObject({
      kind: about(z.literal('azure-key-vault'), { description: 'An Azure Key Vault.', example: 'azure-key-vault' }),
      url: text(
        { description: 'Address of the vault.', example: 'https://kv-dr-prod.vault.azure.net' },
        { pattern: HTTPS, expected: "expected the vault's address, such as https://kv-dr-prod.vault.azure.net" },
      ),
    }),
    z.strictObject({
      kind: about(z.literal('folder'), { description: 'A folder with one file (mode 0600) per key or secret.', example: 'folder' }),
      path: path(
        {
          description:
            "Path of the folder; a relative one starts at dr.yml's own folder, ~/ at the user's home. Not the folder of a store.",
          example: '/mnt/keys',
        },
        'expected the path of a folder, such as /mnt/keys or ~/keys',
      ),
    }),
  ]),
  {
    description: 'Where the keys of backups are kept, and secrets named by ${vault:name}.',
    example: { kind: 'azure-key-vault', url: 'https://kv-dr-prod.vault.azure.net' },
  },
);

export type VaultEntry = z.infer<typeof vaultSchema>;

export const recipientSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: about(z.literal('key-vault-secret'), {
      description: 'A key of its own for each backup, kept as a secret in the Key Vault of this file.',
      example: 'key-vault-secret',
    }),
  }),
  z.strictObject({
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
  }),
  z.strictObject({
    kind: about(z.literal('escrow'), {
      description: 'An RSA public key whose private half you keep off line: it opens backups when the vault is gone.',
      example: 'escrow',
    }),
    publicKey: path(
      { description: "PEM file with the public key; a relative path starts at dr.yml's own folder.", example: 'escrow-public.pem' },
      'expected the path of a PEM file with a public key, such as escrow-public.pem',
    ),
  }),
  z.strictObject({
    kind: about(z.literal('folder'), {
      description: 'A key of its own for each backup, kept as a file in the folder vault of this file.',
      example: 'folder',
    }),
  }),
]);

export type RecipientEntry = z.infer<typeof recipientSchema>;

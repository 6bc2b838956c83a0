// A public key as a recipient, as dr.yml says it.
import { z } from 'zod';
import { about, path } from '../../schema/fields.ts';

export const schema = z.strictObject({
  kind: about(z.literal('escrow'), {
    description: 'An RSA public key whose private half you keep off line: it opens backups when the vault is gone.',
    example: 'escrow',
  }),
  publicKey: path(
    { description: "PEM file with the public key; a relative path starts at dr.yml's own folder.", example: 'escrow-public.pem' },
    'expected the path of a PEM file with a public key, such as escrow-public.pem',
  ),
});

// A folder as a vault, as dr.yml says it.
import { z } from 'zod';
import { about, path } from '../../schema/fields.ts';

export const schema = z.strictObject({
  kind: about(z.literal('folder'), { description: 'A folder with one file (mode 0600) per key or secret.', example: 'folder' }),
  path: path(
    {
      description: "Path of the folder; a relative one starts at dr.yml's own folder, ~/ at the user's home. Not the folder of a store.",
      example: '/mnt/keys',
    },
    'expected the path of a folder, such as /mnt/keys or ~/keys',
  ),
});

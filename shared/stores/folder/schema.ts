// A folder, local or mounted, as dr.yml says it.
import { z } from 'zod';
import { about, path } from '../../schema/fields.ts';

export const schema = z.strictObject({
  kind: about(z.literal('folder'), { description: 'A folder, local or mounted.', example: 'folder' }),
  path: path(
    { description: "Path of the folder; a relative one starts at dr.yml's own folder, ~/ at the user's home.", example: '/mnt/backups' },
    'expected the path of a folder, such as /mnt/backups or ~/backups',
  ),
});

/** `dr.yml`: `{ kind: folder, path: /srv/backups }`. A relative path starts at the current folder; DrConfig gives absolute ones. */
export type FolderStoreConfig = z.infer<typeof schema>;

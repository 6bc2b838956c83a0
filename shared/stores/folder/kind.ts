// Folders of this machine as a kind of store.
import { resolve } from 'node:path';
import { expandHome } from '../../step/home-path.ts';
import { pathOfFileUrl } from '../../tools/file-url.ts';
import type { StoreKind } from '../kind.ts';
import type { schema } from './schema.ts';

export const folder: StoreKind<typeof schema> = {
  schema: async () => (await import('./schema.ts')).schema,
  address: '<path>, file:///<path>',
  schemes: ['file'],
  parse: (address) => ({ kind: 'folder', path: pathOfFileUrl(address) }),
  open: async ({ path }, { mustExist }) => new (await import('./index.ts')).FolderStore(resolve(expandHome(path)), { mustExist }),
};

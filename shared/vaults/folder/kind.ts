// A folder on this machine as a kind of vault.
import { resolve } from 'node:path';
import { expandHome } from '../../step/home-path.ts';
import { pathOfFileUrl } from '../../tools/file-url.ts';
import type { VaultKind } from '../kind.ts';
import type { schema } from './schema.ts';

export const folder: VaultKind<typeof schema> = {
  schema: async () => (await import('./schema.ts')).schema,
  address: 'the path of a folder',
  schemes: ['file'],
  parse: (address) => ({ kind: 'folder', path: /^file:\/\//i.test(address) ? pathOfFileUrl(address) : expandHome(address) }),
  open: async ({ path }, options) =>
    new (await import('./index.ts')).FolderVault(resolve(options.baseFolder ?? '', expandHome(path)), options),
  perBackup: 'folder',
};

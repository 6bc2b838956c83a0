// Making a folder's entries durable.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** What a file system answers that cannot: many network shares and FUSE file systems. They keep no promise that this could call in. */
const CANNOT = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** After this a rename or a new file in the folder survives a power cut, where the file system can see to that. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders, and orders these writes in its journal.
  if (process.platform === 'win32') return;
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (thrown) {
    if (!CANNOT.has((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown;
  } finally {
    await handle.close();
  }
}

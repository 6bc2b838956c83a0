import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openStore } from '../../shared/stores/open.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { tempFolder } from '../backends/support.ts';
import { pruneConformance } from './prune-conformance.ts';

describe('in a folder', () => {
  const folder = tempFolder('prune');
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  pruneConformance(async () => new FolderStore(`${folder}/${randomUUID()}`));
});

describe('in Azure Blob', () => {
  let azurite: Azurite;
  let address: string;
  beforeAll(async () => {
    azurite = await startAzurite();
    address = await azurite.createContainer('backups');
  });
  afterAll(async () => {
    await azurite.stop();
  });
  pruneConformance(async () => openStore(`${address}/${randomUUID()}`, { credential: () => azurite.credential }));
});

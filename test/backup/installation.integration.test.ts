// Two installations with one store, name and component, in services: the mark beside the backups says whose they are.
import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { writeBackup } from '../../shared/backup/write.ts';
import { gatherFacts } from '../../shared/catalog/apply-retention.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { planSection, removals } from '../../shared/catalog/retention-plan.ts';
import { openStore } from '../../shared/stores/open.ts';
import type { Store } from '../../shared/stores/store.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { SecretRecipient } from '../../shared/vaults/recipients/secret.ts';
import type { KeyRecipient } from '../../shared/vaults/vault.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { tempFolder } from '../backends/support.ts';
import { startVersitygw, versitygw, type Versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';
import { countingInspector, inPieces, timestamp } from './support.ts';

const root = tempFolder('installations');
const tool = await versitygw();
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('in Azure Blob', () => {
  let azurite: Azurite;
  let address: string;
  beforeAll(async () => {
    azurite = await startAzurite();
    address = await azurite.createContainer('backups');
  });
  afterAll(() => azurite.stop());
  oneInstallation(() => openStore(`${address}/${randomUUID()}`, { credential: () => azurite.credential }));
});

describeIf('program' in tool, 'missing' in tool ? tool.missing : '')('in S3', () => {
  let server: Versitygw;
  beforeAll(async () => {
    server = await startVersitygw((tool as { program: string }).program);
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    raw.destroy();
  });
  afterAll(() => server.stop());
  oneInstallation(() => {
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    return openStore({ kind: 's3', bucket: 'backups', prefix: randomUUID(), endpoint, region, accessKeyId, secretAccessKey });
  });
});

/** Everything that two installations must not do to each other. */
function oneInstallation(open: () => Promise<Store>): void {
  let store: Store;
  let folder: string;
  let keys: KeyRecipient;
  let stranger: KeyRecipient;
  beforeEach(async () => {
    store = await open();
    folder = join(root, randomUUID());
    [keys, stranger] = [vault('vault'), vault('other')];
  });
  const vault = (name: string): KeyRecipient => new SecretRecipient(new FolderVault(join(folder, name)));
  const backUp = (day: number, recipient = keys) =>
    writeBackup({
      ...{ store, prefix: 'prod', component: 'mongodb', timestamp: timestamp(`2024120${day}_120000`), kind: 'mongodb', owner: 'a test' },
      ...{ recipients: [recipient], source: inPieces(Buffer.from('content')), newInspector: () => countingInspector() },
      ...{ facts: { source: {}, consistency: 'point-in-time' }, tools: {} },
    });
  const section = async (recipient: KeyRecipient) =>
    planSection(
      await gatherFacts({ component: 'mongodb', place: { store, prefix: 'prod' }, others: [], recipients: [recipient] }),
      { rules: { last: 1 }, policy: 'last 1' },
      new Date(),
    );

  test('a second installation is refused, and the first one goes on, also from a vault that was moved', async () => {
    await backUp(1);
    await expect(backUp(2, stranger)).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(
        /^The backups of mongodb below prod in .* belong to another installation: their keys are not in .*other\.$/,
      ),
    });
    expect(await listBackups(store, 'prod')).toHaveLength(1);
    renameSync(join(folder, 'vault'), join(folder, 'moved'));
    await backUp(3, vault('moved'));
    await backUp(4, vault('moved'));
    expect(await listBackups(store, 'prod')).toHaveLength(3);
  });

  test('retention removes nothing of another installation', async () => {
    await backUp(1);
    await backUp(2);
    expect(removals(await section(keys))).toHaveLength(1);
    const foreign = await section(stranger);
    expect([removals(foreign), foreign.blocked]).toEqual([[], expect.stringMatching(/belong to another installation/)]);
  });

  test('backups from before there were marks are joined', async () => {
    await backUp(1);
    await store.delete('prod/mongodb/begun.json');
    await backUp(2);
    await expect(backUp(3, stranger)).rejects.toMatchObject({ kind: 'refused' });
  });
}

// A copy of a large backup that was interrupted goes on in the next run with the blocks that are staged already.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verifyBackup } from '../../shared/backup/read.ts';
import { copyBackups, type CopyResult } from '../../shared/catalog/copy.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { CancelledError } from '../../shared/step/errors.ts';
import { openStore } from '../../shared/stores/open.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { countingInspector, MIB, TIME, world } from '../backup/support.ts';

let azurite: Azurite;
beforeAll(async () => {
  azurite = await startAzurite();
});
afterAll(async () => {
  await azurite.stop();
});

test('an interrupted copy goes on where it was, says so, and is proved whole', async () => {
  const address = await azurite.createContainer(`copies-${Date.now()}`);
  const offsite = await openStore(address, { credential: () => azurite.credential });
  const made = world();
  const { store, vault } = made;
  await made.write(randomBytes(40 * MIB), { compression: { algorithm: 'none' } });
  const notices: string[] = [];
  const copy = (signal: AbortSignal, onBytes: (done: number) => void): Promise<CopyResult> =>
    copyBackups({
      from: { store, prefix: 'prod' },
      to: { store: offsite, prefix: 'prod' },
      component: 'mongodb',
      recipients: [vault],
      owner: 'run 1',
      now: new Date(),
      signal,
      onNotice: (message) => notices.push(message),
      onProgress: (_timestamp, phase, done) => {
        if (phase === 'copying') onBytes(done);
      },
    });

  const cancel = new AbortController();
  const interrupted = copy(cancel.signal, (done) => {
    if (done >= 16 * MIB) cancel.abort();
  });
  await expect(interrupted).rejects.toThrow(CancelledError);
  expect(await listBackups(offsite, 'prod')).toEqual([]);
  expect(notices).toEqual([]);

  const progress: number[] = [];
  const result = await copy(new AbortController().signal, (done) => progress.push(done));
  expect(result).toMatchObject({ copied: [{ timestamp: TIME }], failed: [] });
  expect(notices).toEqual([
    expect.stringMatching(
      /^The copy of 20241201_120000 to https:.*\/copies-\d+ goes on where it was interrupted, at (16|24|32|40) MiB of 40 MiB\.$/,
    ),
  ]);
  expect(progress[0]).toBeGreaterThanOrEqual(16 * MIB);
  const place = { store: offsite, prefix: 'prod', component: 'mongodb', timestamp: TIME, recipients: [vault] };
  await expect(verifyBackup({ ...place, newInspector: () => countingInspector() })).resolves.toMatchObject({ level: 'full' });
});

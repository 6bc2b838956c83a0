// Ctrl-C in each phase of a backup and of a restore: exit code 130, nothing half-done is listed, the lock is free, the next run succeeds.
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { mongoToolsStandIns, type StandIns } from '../backends/mongo-tools-stand-ins.ts';
import { startOnTerminal, type HostResult } from '../acceptance/host-process.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, stateOf, until, type Bench, type Place } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('Ctrl-C', () => {
  let bench: Bench;
  let place: Place;
  let tools: StandIns | undefined;
  beforeAll(async () => {
    bench = await startBench();
    // Several batches of a cursor, several regions of the store.
    await fill(bench.client, 'shop', 5_000);
  });
  beforeEach(() => {
    place = bench.place();
  });
  afterEach(() => tools?.remove());
  afterAll(() => bench.stop());

  /** Runs a step in a process of its own, interrupted at a moment: a text it says, or `phase …` for its progress. */
  async function interrupted(
    step: string,
    moment: string,
    inputs: Record<string, string>,
  ): Promise<HostResult & { message: string; fix: string }> {
    const { mongodbUri = '', ...given } = inputs;
    const temp = join(place.store, '..', 'temp');
    mkdirSync(temp, { recursive: true });
    const result = await startOnTerminal('test/steps/fixtures/interrupted-step.ts', {
      args: [step, moment, JSON.stringify(given)],
      env: { LIFEBOAT_MONGODB_URI: mongodbUri, TMPDIR: temp },
    }).result;
    expect(readdirSync(temp)).toEqual([]);
    const { message, fix = '' } = (result.json?.['error'] ?? { message: result.log }) as { message: string; fix?: string };
    return { ...result, message, fix };
  }

  describe('in a backup', () => {
    test.each(['Dumping 127', 'phase Dumping', 'phase Reading back'])(
      'at "%s" leaves nothing, and the next run succeeds',
      async (moment) => {
        const { exitCode, outcome } = await interrupted('mongodb-backup', moment, place.inputs);
        expect([exitCode, outcome]).toEqual([130, 'cancelled']);
        expect(await place.listed()).toEqual({ backups: [], leftovers: 0 });
        expect([place.files(), place.keys()]).toEqual([[], []]);
        expect(place.records()).toMatchObject([{ step: 'mongodb-backup', outcome: 'cancelled' }]);
        const next = await run('mongodb-backup', place.inputs);
        expect([next.outcome, next.said]).toEqual(['succeeded', '']);
      },
    );

    test('sent to the command line ends a mongodump that hangs', async () => {
      tools = mongoToolsStandIns({ mongodump: 'hangs' });
      const { mongodbUri = '', ...given } = place.inputs;
      const options = Object.entries({ ...given, engine: 'tools' }).flatMap(([name, value]) => [`--${name}`, value]);
      const started = startOnTerminal('scripts/cli.ts', {
        args: ['mongodb-backup', ...options, '--json'],
        env: { LIFEBOAT_MONGODB_URI: mongodbUri, PATH: tools.path },
      });
      await until(() => tools?.calls().some(({ args }) => !args.includes('--version')) ?? false);
      await until(() => place.keys().length > 0);
      started.child.kill('SIGINT');
      const { exitCode, outcome, leftInTemp } = await started.result;
      expect([exitCode, outcome, leftInTemp]).toEqual([130, 'cancelled', []]);
      expect(await place.listed()).toEqual({ backups: [], leftovers: 0 });
      expect((await run('mongodb-backup', place.inputs)).outcome).toBe('succeeded');
    });
  });

  describe('in a restore', () => {
    test.each([
      ['phase Proving the backup', false],
      ['Backing up 2 collections', false],
      ['phase Restoring', true],
      ['Reading the target back', true],
    ])('at "%s" ends with 130 and the way back, and the next run succeeds', async (moment, touched) => {
      const inputs = { ...place.inputs, include: 'shop', confirm: 'shop', replace: 'true' };
      const before = await stateOf(bench.client, 'shop');
      expect((await run('mongodb-backup', { ...place.inputs, include: 'shop' })).outcome).toBe('succeeded');
      const { exitCode, outcome, fix } = await interrupted('mongodb-restore', moment, inputs);
      expect([exitCode, outcome]).toEqual([130, 'cancelled']);
      expect(fix.includes('--rollback --replace --confirm shop')).toBe(touched);
      if (!touched) expect(await stateOf(bench.client, 'shop')).toEqual(before);
      expect((await place.listed()).leftovers).toBe(0);
      const next = await run('mongodb-restore', inputs);
      expect([next.outcome, next.said]).toEqual(['succeeded', '']);
      expect(await stateOf(bench.client, 'shop')).toEqual(before);
    });
  });
});

// `backup-all`: every component under one timestamp, a group manifest, and no stop at the first that fails.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readPoint } from '../../shared/catalog/points.ts';
import { formatTimestamp, parseTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench } from './bench.ts';

const POINT = parseTimestamp('20241201_120000') as Timestamp;

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('backup-all', () => {
  let bench: Bench;
  let folder: string;
  let config: string;
  let runs = 0;
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
    await fill(bench.client, 'users', 40);
  });
  beforeEach(() => {
    folder = join(bench.root, `all-${(runs += 1)}`);
    mkdirSync(folder);
    config = join(folder, 'dr.yml');
    process.env['ALL_TEST_URI'] = bench.mongo.uri;
    process.env['ALL_TEST_AWAY'] = 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200';
  });
  afterAll(async () => {
    delete process.env['ALL_TEST_URI'];
    delete process.env['ALL_TEST_AWAY'];
    await bench.stop();
  });

  function write(uris: Record<string, string>): void {
    const components = Object.entries(uris).map(
      ([name, uri], index) =>
        `  ${name}: { kind: mongodb, source: { uri: "\${env:${uri}}" }, engine: driver, include: [${name}], store: ${index === 0 ? 'near' : 'far'} }\n`,
    );
    writeFileSync(
      config,
      'version: 1\nname: prod\nstores:\n  near: { kind: folder, path: near }\n  far: { kind: folder, path: far }\n' +
        `vault: { kind: folder, path: keys }\ncomponents:\n${components.join('')}`,
    );
  }
  const point = async (store: string): Promise<unknown> => readPoint(new FolderStore(join(folder, store)), 'prod', POINT);

  test('backs up all under one timestamp and says in every store what belongs together', async () => {
    write({ shop: 'ALL_TEST_URI', users: 'ALL_TEST_URI' });
    const ran = await run('backup-all', { config, type: 'full', timestamp: POINT });
    expect([ran.outcome, ran.said]).toEqual(['succeeded', '']);
    expect(ran.outputs).toMatchObject({ timestamp: POINT, components: '2', failed: '0' });
    const expected = {
      timestamp: POINT,
      name: 'prod',
      complete: true,
      components: [
        { component: 'shop', kind: 'mongodb', outcome: 'succeeded', verified: true, documents: 302 },
        { component: 'users', outcome: 'succeeded', documents: 42, store: join(folder, 'far') },
      ],
    };
    expect(await point('near')).toMatchObject(expected);
    expect(await point('far')).toMatchObject(expected);
    const later = await run('backup-all', { config, type: 'full', timestamp: '20241202_120000' });
    expect(later.summary).toMatch(/\| stored \| [^|]+ \| ±0\u00a0% \| ▅▅ \|/);
    expect(later.summary).toMatch(/\| shop \| verified \| 302 \| [^|]+ \| ±0\u00a0% \| ▅▅ \|/);
    // A second one at the same moment is refused before anything is dumped.
    const again = await run('backup-all', { config, timestamp: POINT });
    expect([again.outcome, again.said]).toEqual(['failed', expect.stringContaining('already a recovery point')]);
  });

  test('goes on after a component that fails, and is partial', async () => {
    write({ shop: 'ALL_TEST_AWAY', users: 'ALL_TEST_URI' });
    const ran = await run('backup-all', { config, timestamp: POINT });
    expect([ran.outcome, ran.exitCode]).toEqual(['partial', 3]);
    expect(ran.finish.warnings).toEqual([expect.stringMatching(/^shop: MongoDB cannot be reached: 127\.0\.0\.1:1/)]);
    expect(await point('far')).toMatchObject({
      complete: false,
      components: [
        { component: 'shop', outcome: 'failed', error: expect.any(String) },
        { component: 'users', outcome: 'succeeded' },
      ],
    });
  });

  test.each([
    ['', {}],
    ['of what is due', { due: 'true' }],
  ])(
    'goes on %s while the store of one component is down; the point lies where its parts are',
    async (_what, more: Record<string, string>) => {
      write({ shop: 'ALL_TEST_URI', users: 'ALL_TEST_URI' });
      writeFileSync(config, readFileSync(config, 'utf8').replaceAll('{ kind: mongodb,', '{ kind: mongodb, schedule: "daily at 00:17",'));
      // A file where the folder should be.
      writeFileSync(join(folder, 'near'), '');
      const ran = await run('backup-all', { config, timestamp: POINT, ...more });
      expect([ran.outcome, ran.exitCode, ran.outputs['components']]).toEqual(['partial', 3, '1']);
      expect(ran.finish.warnings.filter((warning) => !warning.startsWith('The record'))).toEqual([expect.stringMatching(/^shop: /)]);
      expect(await point('far')).toMatchObject({
        complete: false,
        components: [{ outcome: 'failed' }, { component: 'users', outcome: 'succeeded' }],
      });
    },
  );

  test('fails, and makes no point, when not one could be backed up', async () => {
    write({ shop: 'ALL_TEST_AWAY' });
    const ran = await run('backup-all', { config, timestamp: POINT });
    expect([ran.outcome, ran.exitCode]).toEqual(['failed', 1]);
    expect(await point('near')).toBeUndefined();
  });

  test('with --due backs up what came due and is not there yet, and ends at once when nothing is', async () => {
    write({ shop: 'ALL_TEST_URI', users: 'ALL_TEST_URI' });
    const hoursAgo = new Date(Date.now() - 6 * 3_600_000).toISOString().slice(11, 16);
    const scheduled = (component: string, schedule: string): void => {
      const text = readFileSync(config, 'utf8').replace(`${component}: { kind: mongodb,`, `$& schedule: "${schedule}",`);
      writeFileSync(config, text);
    };
    scheduled('shop', `daily at ${hoursAgo}`);
    scheduled('users', 'first sunday at 00:17 Europe/Berlin');
    const first = await run('backup-all', { config, due: 'true' });
    expect([first.outcome, first.outputs['components']]).toEqual(['succeeded', '2']);
    const second = await run('backup-all', { config, due: 'true' });
    expect([second.outcome, second.exitCode, second.outputs['components'], second.outputs['timestamp']]).toEqual(['succeeded', 0, '0', '']);
    expect(second.summary).toMatch(/### ✅ [-\w]+: nothing is due\n\n- shop: next at [-\d: ]+ UTC\n- users: next at/);

    // The run of six hours ago never was, and the backup is older.
    const names = ['data', 'manifest.json'].map((file) => join(folder, 'near', 'prod', 'shop', first.outputs['timestamp'] ?? '', file));
    for (const name of names) rmSync(name);
    // All this takes less than a second, and two recovery points have not one timestamp.
    while (formatTimestamp(new Date()) === first.outputs['timestamp']) await delay(20);
    const third = await run('backup-all', { config, due: 'true' });
    expect([third.outcome, third.outputs['components']]).toEqual(['succeeded', '1']);
    expect(await readPoint(new FolderStore(join(folder, 'near')), 'prod', third.outputs['timestamp'] as Timestamp)).toMatchObject({
      complete: false,
      components: [{ component: 'shop' }],
    });
  });

  test('needs a dr.yml, and a variable that it names', async () => {
    expect(await run('backup-all', { config: join(folder, 'nope.yml') })).toMatchObject({ exitCode: 2 });
    write({ shop: 'ALL_TEST_NOT_SET', users: 'ALL_TEST_URI' });
    const ran = await run('backup-all', { config, timestamp: POINT });
    expect([ran.outcome, ran.finish.warnings]).toEqual(['partial', [expect.stringContaining('ALL_TEST_NOT_SET')]]);
  });
});

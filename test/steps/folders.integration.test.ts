// Folders of stores and vaults as people name them: not there, in the home folder, in one place with the keys.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('the folders of', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop', 10);
  });
  afterAll(async () => {
    await bench.stop();
  });
  const nowhere = (name: string): string => join(bench.root, 'not-mounted', name);
  const NO_FOLDER = /There is no folder .*not-mounted\/\S+?\.?\n?/;

  describe('a store that is not there', () => {
    test.each([
      ['list-backups', {}],
      ['backup-validation', { vault: '' }],
      ['backup-integrity-check', { vault: '', mongodbUri: 'mongodb://127.0.0.1:1/' }],
      ['hold-backup', { timestamp: '20241201_120000', reason: 'audit' }],
      ['release-hold', { timestamp: '20241201_120000' }],
      ['apply-retention', { keepLast: '1', dryRun: 'true' }],
      ['status', {}],
      ['audit', {}],
      ['copy-backups', { copies: '' }],
    ])('%s says so and makes nothing', async (step, inputs) => {
      const place = bench.place();
      const more = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, value === '' ? place.vault : value]));
      const { outcome, exitCode, said, log } = await run(step, { store: nowhere(step), name: 'shop', component: 'mongodb', ...more });
      expect([outcome, exitCode]).toEqual(['failed', 1]);
      expect(`${said}\n${log.join('\n')}`).toMatch(NO_FOLDER);
      expect(existsSync(nowhere(step))).toBe(false);
    });

    test('doctor finds it, and a vault that is not there', async () => {
      const { outcome, outputs } = await run('doctor', { store: nowhere('doctor'), vault: nowhere('keys'), name: 'shop' });
      const checks = JSON.parse(outputs['checks'] ?? '[]') as { name: string; status: string; seen: string }[];
      const by = (name: string) => checks.find((check) => check.name === name);
      expect(outcome).toBe('failed');
      expect(by('store-access')).toMatchObject({ status: 'failed', seen: expect.stringMatching(NO_FOLDER) });
      expect(by('vault-access')).toMatchObject({ status: 'failed', seen: expect.stringMatching(NO_FOLDER) });
      expect(existsSync(nowhere('doctor')) || existsSync(nowhere('keys'))).toBe(false);
    });

    test('a backup makes it, and the vault', async () => {
      const place = bench.place();
      const fresh = { store: join(place.store, 'new'), vault: join(place.vault, 'new') };
      const made = await run('mongodb-backup', { ...place.inputs, ...fresh });
      expect([made.outcome, made.said]).toEqual(['succeeded', '']);
      expect(existsSync(fresh.store) && existsSync(fresh.vault)).toBe(true);
    });

    test('a copy makes its destination; a restore reads from no vault that is not there', async () => {
      const place = bench.place();
      const copies = join(place.store, '..', 'copies');
      expect((await run('mongodb-backup', { ...place.inputs, copies })).outcome).toBe('succeeded');
      expect(existsSync(copies)).toBe(true);
      const restored = await run('mongodb-restore', {
        ...place.inputs,
        vault: nowhere('gone'),
        confirm: 'shop',
        targetDatabase: 'elsewhere',
      });
      expect([restored.outcome, restored.said]).toEqual(['failed', expect.stringMatching(/There is no folder .*gone with keys/)]);
      expect(existsSync(nowhere('gone'))).toBe(false);
    });
  });

  describe('a path that starts with ~', () => {
    const home = process.env['HOME'];
    beforeAll(() => {
      process.env['HOME'] = join(bench.root, 'home');
      mkdirSync(process.env['HOME'], { recursive: true });
    });
    afterAll(() => {
      process.env['HOME'] = home;
    });

    test('lies in the home folder, as an input and in dr.yml', async () => {
      const place = bench.place();
      const made = await run('mongodb-backup', { ...place.inputs, store: '~/b/store', vault: '~/b/vault' });
      expect([made.outcome, made.said]).toEqual(['succeeded', '']);
      const config = join(bench.root, 'home.yml');
      const components = `components: { mongodb: { kind: mongodb, source: { uri: "\${env:URI}" } } }`;
      writeFileSync(config, `version: 1\nname: shop\nstores: { home: { kind: folder, path: ~/b/store } }\n${components}\n`);
      const listed = await run('list-backups', { config });
      expect([listed.outcome, listed.outputs['count']]).toEqual(['succeeded', '1']);
      expect([existsSync(join(bench.root, 'home', 'b', 'store')), existsSync('~')]).toEqual([true, false]);
    });

    test('and another user is refused, in dr.yml with its line', async () => {
      const typed = await run('list-backups', { store: '~other/b', name: 'shop' });
      expect([typed.exitCode, typed.said]).toEqual([2, expect.stringContaining('"~other/b" starts with ~ and a name')]);
      const config = join(bench.root, 'other.yml');
      writeFileSync(
        config,
        'version: 1\nname: shop\nstores: { home: { kind: folder, path: ~other/b } }\ncomponents: { m: { kind: mongodb, source: { uri: "${env:URI}" } } }\n',
      );
      const written = await run('list-backups', { config });
      expect([written.exitCode, written.said]).toEqual([2, expect.stringMatching(/other\.yml:3:\d+ stores\.home\.path: .*~\/backups/)]);
    });
  });

  describe('keys beside the backups', () => {
    test.each([
      ['the same folder', (base: string) => ({ store: base, vault: base })],
      ['a vault in the store', (base: string) => ({ store: base, vault: join(base, 'keys') })],
      ['a store in the vault', (base: string) => ({ store: join(base, 'backups'), vault: base })],
      [
        'a link to the store',
        (base: string) => {
          mkdirSync(base);
          symlinkSync(base, `${base}-link`);
          return { store: base, vault: join(`${base}-link`, 'keys') };
        },
      ],
    ])('%s: the backup is partial and says why, and doctor warns', async (_what, make) => {
      const place = bench.place();
      const where = make(join(place.store, 'one'));
      const { outcome, log } = await run('mongodb-backup', { ...place.inputs, ...where });
      expect(outcome).toBe('partial');
      expect(log.join('\n')).toMatch(/The keys lie with the backups/);
      const checked = await run('doctor', { ...where, name: 'shop', only: 'key-place' });
      expect(checked.outcome).toBe('partial');
    });

    test('also where only a copy lies with them; and status finds it', async () => {
      const place = bench.place();
      const { outcome, log } = await run('mongodb-backup', { ...place.inputs, copies: join(place.vault, 'copies') });
      expect([outcome, log.join('\n')]).toEqual(['partial', expect.stringMatching(/The keys lie with the backups/)]);
      const config = join(bench.root, 'beside.yml');
      writeFileSync(
        config,
        [
          'version: 1',
          'name: shop',
          `stores: { here: { kind: folder, path: ${place.store} } }`,
          `vault: { kind: folder, path: ${join(place.store, 'keys')} }`,
          'components: { mongodb: { kind: mongodb, source: { uri: "${env:URI}" } } }',
        ].join('\n'),
      );
      const looked = await run('status', { config });
      expect(looked.log.join('\n')).toMatch(/warning: The keys lie with the backups/);
    });
  });
});

// The first hour as a newcomer has it: an empty folder, a terminal, questions, and then every command that init names.
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { findProgram, tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { onScreen, type Screen } from '../support/screen.ts';
import { fill, startBench, type Bench } from './bench.ts';

const ready = (await canBuildFerretDb()) && findProgram('script') !== undefined;

describeIf(ready, 'needs Go 1.24 to build FerretDB, and script of util-linux')('the first hour', () => {
  let bench: Bench;
  const folder = tempFolder('first-hour');
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
  });
  afterAll(async () => {
    await bench.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A command line typed in the newcomer's folder, on a terminal of 80 columns. */
  function lifeboat(...args: string[]): Screen {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', resolve('scripts/cli.ts')];
    return onScreen(['env', '-C', folder, ...node, ...args], { columns: 80, env: { MONGODB_URI: bench.mongo.uri } });
  }

  async function done(screen: Screen): Promise<{ code: number | null; text: string }> {
    const code = await screen.ended;
    const lines = screen.lines();
    // Tables and sentences fit; only a word without a blank, such as a path, may run on.
    for (const line of lines) if (line.length > 80) expect(line).toMatch(/\S{40,}/);
    return { code, text: lines.join('\n') };
  }

  test('init asks, and what it names next works as it is written', async () => {
    const init = lifeboat('init');
    for (const [question, answer] of [
      [/Name of what is protected \[.+\]:/, 'shop'],
      [/What is protected\? mongodb, cluster-state \[mongodb\]:/, ''],
      [/Is MongoDB reachable only from inside a Kubernetes cluster\? \[no\]/, ''],
      [/Where do the backups go\?[^]*\n>\s*$/, './backups'],
      [/Where do the keys go\?[^]*\n>\s*$/, './keys'],
      [/openssl genpkey[^]*Escrow public key file, or Enter for none\n>\s*$/, ''],
      [/Write a GitHub workflow\? \[no\]/, 'yes'],
      [/Write an Azure pipeline\? \[no\]/, ''],
    ] as const) {
      await init.shows(question);
      init.type(`${answer}\r`);
    }
    const asked = await done(init);
    expect([asked.code, asked.text]).toEqual([0, expect.stringContaining('Wrote .github/workflows/lifeboat-backup.yml.')]);
    expect(asked.text).toMatch(/Keep \.\/backups and \.\/keys out of version\s+control/);
    const next = [...asked.text.matchAll(/^ {2}lifeboat (.+)$/gm)].map(([, args]) => (args ?? '').split(' '));
    expect(next).toEqual([['config', 'validate'], ['doctor'], ['backup-all']]);

    const said: Record<string, string> = {};
    for (const args of [...next, ['status'], ['verify', '--all', '--detailed'], ['list-backups'], ['mongodb-restore', '--dry-run']]) {
      const { code, text } = await done(lifeboat(...args));
      // doctor has a warning: there is no backup yet.
      expect([args.join(' '), code, text]).toEqual([args.join(' '), args[0] === 'doctor' ? 3 : 0, expect.any(String)]);
      said[args[0] ?? ''] = text;
    }
    expect(said['doctor']).toContain('ready, with 1 warning');
    expect(said['backup-all']).toContain('proved restorable');
    expect(said['status']).toContain('shop: healthy');
    expect(said['verify']).toMatch(/1 backup of \S+ validated: every byte and every document/);
    expect(said['mongodb-restore']).toContain('Dry run: nothing was touched.');
    expect(readdirSync(folder).sort()).toEqual(['.github', 'backups', 'dr.yml', 'keys']);
  });

  test('without a dr.yml, and with a broken one, each command says what to do', async () => {
    const empty = tempFolder('first-hour-empty');
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', resolve('scripts/cli.ts')];
    const run = async (...args: string[]) => done(onScreen(['env', '-C', empty, ...node, ...args], { columns: 80 }));
    try {
      for (const [args, fix] of [
        [['backup-all'], /write one:\s+lifeboat init/],
        [['config', 'validate'], /--config path\/to\/dr\.yml/],
        [['mongodb-backup'], /--store|dr\.yml/],
        [['status'], /^error: There is no dr\.yml here, and --store is missing\.[^]*folder\s+of\s+your\s+dr\.yml/],
      ] as const) {
        expect([args.join(' '), await run(...args)]).toEqual([args.join(' '), { code: 2, text: expect.stringMatching(fix) }]);
      }
      writeFileSync(join(empty, 'dr.yml'), 'version: 1\nname: shop\nstore: {}\ncomponents: {}\n');
      expect(await run('config', 'validate')).toMatchObject({
        code: 2,
        text: expect.stringMatching(/dr\.yml:3:1 store: unknown key\. Did you mean\s+stores\?/),
      });
      expect(existsSync(join(empty, 'backups'))).toBe(false);
    } finally {
      rmSync(empty, { recursive: true, force: true });
    }
  });
});

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { backupNames } from '../../shared/backup/layout.ts';
import { verifyBackup } from '../../shared/backup/read.ts';
import { writeBackup } from '../../shared/backup/write.ts';
import { listBackups } from '../../shared/catalog/list.ts';
import { writePoint } from '../../shared/catalog/points.ts';
import { writeRunRecord } from '../../shared/catalog/runs.ts';
import { drSource } from '../../shared/session/session.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { formatTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { findStep } from '../../shared/steps/index.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { openRecipients, openVault } from '../../shared/vaults/open.ts';
import { countingInspector } from '../backup/support.ts';

const DAY = 86_400_000;
let folder: string;
let store: FolderStore;
let timestamps: Timestamp[];
const at = (name: string): string => join(folder, name);

async function backUp(component: string, timestamp: Timestamp): Promise<void> {
  await writeBackup({
    ...{ store, prefix: 'prod', component, kind: 'mongodb', timestamp, owner: 'test' },
    recipients: await openRecipients([{ kind: 'vault' }], { vault: await openVault(at('keys')) }),
    source: (async function* () {
      yield Buffer.from(`${component} ${timestamp}`);
    })(),
    newInspector: () => countingInspector(),
    facts: { source: {}, consistency: 'per-collection' },
    tools: { lifeboat: '0' },
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-retention-'));
  store = new FolderStore(at('a'));
  const now = Math.floor(Date.now() / 1000) * 1000;
  timestamps = [4, 3, 2, 1].map((days) => formatTimestamp(new Date(now - days * DAY)));
  for (const timestamp of timestamps) await backUp('mongodb', timestamp);
  writeFileSync(
    at('dr.yml'),
    `version: 1
name: prod
stores: { primary: { kind: folder, path: ${at('a')} }, offsite: { kind: folder, path: ${at('b')} } }
vault: { kind: folder, path: ${at('keys')} }
components:
  mongodb: { kind: mongodb, source: { uri: "mongodb://localhost" }, store: primary, copies: [offsite], retention: { last: 2, stores: { offsite: { last: 1 } } } }
`,
  );
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function run(step: string, inputs: Record<string, string>) {
  const host = new MemoryHost({ inputs: { config: at('dr.yml'), ...inputs } });
  const finish = await runStep(findStep(step) as never, host, { openConfig: drSource() });
  return { finish, host };
}

async function listed(where: FolderStore = store): Promise<string[]> {
  return (await listBackups(where, 'prod', { component: 'mongodb' })).map(({ timestamp }) => timestamp);
}

describe('apply-retention', () => {
  test('shows on a dry run what would go and touches nothing; with the name typed it goes, key and all', async () => {
    const dry = await run('apply-retention', { dryRun: 'true' });
    expect(dry.finish).toMatchObject({ exitCode: 0, result: { dryRun: true, removed: 2, kept: 2 } });
    expect(await listed()).toEqual(timestamps);

    const unconfirmed = await run('apply-retention', {});
    expect(unconfirmed.finish.exitCode).toBe(5);
    expect(await listed()).toEqual(timestamps);

    const done = await run('apply-retention', { confirm: 'prod' });
    expect(done.finish).toMatchObject({ exitCode: 0, result: { removed: 2, kept: 2, keysForgotten: 2 } });
    expect(await listed()).toEqual(timestamps.slice(2));
    const vault = await openVault(at('keys'));
    const secrets: string[] = [];
    for await (const { name } of vault.list()) secrets.push(name);
    expect(secrets).toHaveLength(2);
  });

  test('a store for copies that is gone after it had some keeps everything, also where only the vault remembers', async () => {
    expect((await run('copy-backups', { component: 'mongodb', days: '0' })).finish.exitCode).toBe(0);
    renameSync(at('b'), at('unmounted'));
    const gone = await run('apply-retention', { confirm: 'prod' });
    expect(gone.finish).toMatchObject({ exitCode: 1, error: { message: `There is no folder ${at('b')}.` } });
    expect(await listed()).toEqual(timestamps);
    // The backups were made in what is now the store of the copies, and nothing in the other one says so.
    renameSync(at('a'), at('made-here'));
    mkdirSync(at('b'));
    writeFileSync(at('dr.yml'), readFileSync(at('dr.yml'), 'utf8').replace(at('a'), at('c')).replace(at('b'), at('a')));
    cpSync(join(at('made-here'), 'prod'), join(at('c'), 'prod'), { recursive: true });
    cpSync(join(at('made-here'), '.lifeboat'), join(at('c'), '.lifeboat'), { recursive: true });
    rmSync(join(at('c'), 'prod', 'mongodb', 'copies'), { recursive: true, force: true });
    const moved = await run('apply-retention', { confirm: 'prod' });
    expect(moved.finish).toMatchObject({ exitCode: 1, error: { message: `There is no folder ${at('a')}.` } });
    expect(await listed(new FolderStore(at('c')))).toEqual(timestamps);
    expect(existsSync(at('a'))).toBe(false);
  });

  test('takes a saved plan instead of the confirmation, once, and refuses it when the catalog has changed', async () => {
    await run('apply-retention', { dryRun: 'true', savePlan: at('plan.json') });
    const newest = formatTimestamp(new Date());
    await backUp('mongodb', newest);
    const stale = await run('apply-retention', { plan: at('plan.json') });
    expect(stale.finish.exitCode).toBe(5);
    expect(stale.finish.error?.message).toContain(`has ${newest}, which the plan does not know`);
    expect(await listed()).toHaveLength(5);

    await run('apply-retention', { dryRun: 'true', savePlan: at('plan.json') });
    const done = await run('apply-retention', { plan: at('plan.json') });
    expect(done.finish).toMatchObject({ exitCode: 0, result: { removed: 3 } });
    expect(await listed()).toEqual([timestamps[3], newest]);
    const again = await run('apply-retention', { plan: at('plan.json') });
    expect(again.finish).toMatchObject({ exitCode: 0 });
    expect(await listed()).toEqual([timestamps[3], newest]);
  });

  test('a saved plan of which one store has changed is refused before anything goes from the other one', async () => {
    const offsite = new FolderStore(at('b'));
    expect((await run('copy-backups', { component: 'mongodb', days: '0' })).finish.exitCode).toBe(0);
    await run('apply-retention', { dryRun: 'true', savePlan: at('plan.json') });
    const { data } = backupNames('prod', 'mongodb', timestamps[1] as Timestamp);
    await offsite.delete(data);
    const { finish } = await run('apply-retention', { plan: at('plan.json') });
    expect(finish).toMatchObject({
      exitCode: 5,
      error: { message: expect.stringContaining(`${timestamps[1] as string} of mongodb in ${at('b')} is damaged`) },
    });
    expect(await listed()).toEqual(timestamps);
  });

  test.each([
    ['without any rule', '"rules": {}'],
    ['with rules that keep nothing', '"rules": { "last": 0 }'],
  ])('a plan %s is no plan', async (_what, rules) => {
    await run('apply-retention', { dryRun: 'true', savePlan: at('plan.json') });
    writeFileSync(at('plan.json'), readFileSync(at('plan.json'), 'utf8').replace(/"rules": \{[^}]*\}/g, rules));
    const { finish } = await run('apply-retention', { plan: at('plan.json') });
    expect(finish).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringContaining('is not a retention plan (at sections.0.rules)') },
    });
    expect(await listed()).toEqual(timestamps);
  });

  test('a plan that cannot be written is said to be so', async () => {
    const { finish } = await run('apply-retention', { dryRun: 'true', savePlan: at('nowhere/plan.json') });
    expect(finish).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining('The plan cannot be written to') } });
  });

  test("refuses another place's plan", async () => {
    await run('apply-retention', { dryRun: 'true', savePlan: at('plan.json') });
    writeFileSync(at('plan.json'), readFileSync(at('plan.json'), 'utf8').replace('"name": "prod"', '"name": "staging"'));
    const { finish } = await run('apply-retention', { plan: at('plan.json') });
    expect(finish).toMatchObject({ exitCode: 5, error: { message: expect.stringContaining('is for staging') } });
    expect(await listed()).toEqual(timestamps);
  });

  test('judges each store by its own rules and keeps a key while a copy is left', async () => {
    const offsite = new FolderStore(at('b'));
    for (const timestamp of timestamps.slice(0, 3)) {
      const names = backupNames('prod', 'mongodb', timestamp);
      for (const name of [names.data, names.manifest]) {
        await offsite.write(name, (await store.read(name)) as Uint8Array, { metadata: { ...(await store.stat(name))?.metadata } });
      }
    }
    const { finish } = await run('apply-retention', { confirm: 'prod' });
    expect(finish).toMatchObject({ exitCode: 0, result: { removed: 4, keysForgotten: 2 } });
    expect([await listed(), await listed(offsite)]).toEqual([timestamps.slice(2), [timestamps[2]]]);
  });

  test('from inputs alone it remembers the copies that were made, and keeps the keys until the last store has lost the data', async () => {
    const bare = async (step: string, inputs: Record<string, string>) => {
      const host = new MemoryHost({ inputs: { component: 'mongodb', name: 'prod', ...inputs } });
      return { host, finish: await runStep(findStep(step) as never, host, {}) };
    };
    const apply = async (store: string, more: Record<string, string> = {}) =>
      bare('apply-retention', { store: at(store), vault: at('keys'), keepLast: '1', confirm: 'prod', ...more });
    expect((await bare('copy-backups', { store: at('a'), copies: at('b'), days: '0' })).finish.exitCode).toBe(0);

    const [oldest] = timestamps;
    const home = await apply('a');
    expect(home.finish).toMatchObject({ exitCode: 0, result: { removed: 3, keysForgotten: 0 } });
    expect(home.host.summaryText).toContain(`Keys stay as long as ${at('b')} has the data.`);
    // Its disk is not mounted: what is there now cannot vouch for what is on the disk.
    await backUp('mongodb', formatTimestamp(new Date()));
    renameSync(at('b'), at('unplugged'));
    const gone = await apply('a', { copies: at('b') });
    expect(gone.finish).toMatchObject({ outcome: 'failed', error: { message: `There is no folder ${at('b')}.` } });
    mkdirSync(at('b'));
    const unplugged = await apply('a', { copies: at('b') });
    expect(unplugged.finish).toMatchObject({ outcome: 'partial', result: { removed: 0, keysForgotten: 0 } });
    expect(unplugged.finish.warnings.join()).toContain(`its keys stay until ${at('b')}, which had copies, is there again`);
    rmSync(at('b'), { recursive: true, force: true });
    renameSync(at('unplugged'), at('b'));

    const copies = new FolderStore(at('b'));
    await verifyBackup({
      ...{ store: copies, prefix: 'prod', component: 'mongodb', timestamp: oldest as Timestamp, newInspector: () => countingInspector() },
      recipients: await openRecipients([{ kind: 'vault' }], { vault: await openVault(at('keys')) }),
    });
    expect((await apply('b')).finish).toMatchObject({ exitCode: 0, result: { removed: 3, keysForgotten: 3 } });
  });

  test('removes nothing after a failed backup, and says which', async () => {
    const failed = formatTimestamp(new Date(Date.now() - 60_000));
    await writeRunRecord(store, 'prod', failed, {
      ...{ step: 'mongodb-backup', outcome: 'failed', component: 'mongodb', backup: failed },
      ...{ started: new Date(), finished: new Date(), run: { id: '1' } },
    });
    const { finish } = await run('apply-retention', { confirm: 'prod' });
    expect(finish).toMatchObject({ outcome: 'partial', exitCode: 3, result: { removed: 0 } });
    expect(finish.warnings.join()).toContain(`${failed}, failed`);
    expect(await listed()).toEqual(timestamps);
  });

  test('what a validation found bad does not count: no good backup goes in its favour, and nothing goes while it is the newest', async () => {
    const [first, second, third, last] = timestamps as [Timestamp, Timestamp, Timestamp, Timestamp];
    const validated = async (minutes: number, badBackups: string[], goodBackups: string[]): Promise<void> => {
      // After the backups, which were made just now.
      const when = new Date(Date.now() + minutes * 60_000);
      await writeRunRecord(store, 'prod', formatTimestamp(when), {
        ...{ step: 'backup-validation', outcome: 'failed', component: 'mongodb', badBackups, goodBackups },
        ...{ started: when, finished: when, run: { id: '1' } },
      });
    };
    await validated(1, [`mongodb/${last}`], []);
    const doubtful = await run('apply-retention', { confirm: 'prod' });
    expect(doubtful.finish).toMatchObject({ outcome: 'partial', result: { removed: 0 } });
    expect(doubtful.finish.warnings.join()).toContain(`${last}, was found damaged on `);
    expect(await listed()).toEqual(timestamps);

    await validated(2, [`mongodb/${third}`], [`mongodb/${last}`]);
    await run('apply-retention', { dryRun: 'true', savePlan: at('plan.json') });
    const done = await run('apply-retention', { plan: at('plan.json') });
    expect(done.finish).toMatchObject({ exitCode: 0, result: { removed: 1 } });
    expect(await listed()).toEqual([second, third, last]);
    expect([first, ...(await listed())]).toEqual(timestamps);
  });

  test('takes the recovery points of which nothing is left, and old run records, along; proofs and the audit log stay', async () => {
    const [first, second, , last] = timestamps as [Timestamp, Timestamp, Timestamp, Timestamp];
    const point = async (timestamp: Timestamp, component = 'mongodb', at = store.location): Promise<string> => {
      const member = { component, kind: 'mongodb', outcome: 'succeeded' as const, store: at };
      await writePoint(store, 'prod', {
        timestamp,
        name: 'prod',
        created: new Date(),
        complete: true,
        run: { id: '1' },
        components: [member],
      });
      return `prod/points/${timestamp}.json`;
    };
    const long = (days: number): Timestamp => formatTimestamp(new Date(Date.now() - days * DAY));
    const emptied = await point(first);
    const [half, elsewhere, alive] = [await point(second, 'orders'), await point(long(9), 'mongodb', '/mnt/other'), await point(last)];
    await backUp('orders', second);
    const record = async (timestamp: Timestamp, outcome: 'succeeded' | 'failed'): Promise<string> =>
      writeRunRecord(store, 'prod', timestamp, {
        ...{ step: 'mongodb-backup', outcome, component: 'mongodb', backup: timestamp },
        ...{ started: new Date(), finished: new Date(), run: { id: '1' } },
      });
    const old = await record(long(500), 'succeeded');
    const kept = [await record(long(450), 'failed'), await record(long(399), 'succeeded')];
    const proof = `prod/proofs/${long(500)}-mongodb.json`;
    await store.write(proof, Buffer.from('{}'));
    const there = async (): Promise<string[]> => {
      const names: string[] = [];
      for await (const { name } of store.list('prod/')) if (!/^prod\/(?:mongodb|orders|locks|audit)\//.test(name)) names.push(name);
      return names;
    };

    const dry = await run('apply-retention', { dryRun: 'true' });
    expect(dry.finish).toMatchObject({ exitCode: 0, result: { records: { points: 1, runs: 1 } } });
    expect(dry.host.log.join('\n')).toContain('1 recovery point of which nothing is left, 1 run record older than 400 days go');
    expect(await there()).toEqual(expect.arrayContaining([emptied, half, old]));
    const done = await run('apply-retention', { confirm: 'prod' });
    expect(done.finish).toMatchObject({ exitCode: 0, result: { removed: 2, records: { points: 1, runs: 1 } } });
    const left = await there();
    expect(left).toEqual(expect.arrayContaining([half, elsewhere, alive, ...kept, proof]));
    expect(left).not.toEqual(expect.arrayContaining([emptied]));
    expect(left).not.toEqual(expect.arrayContaining([old]));
  });

  test('of a run about one store, no record of another one goes', async () => {
    expect((await run('copy-backups', { component: 'mongodb', days: '0' })).finish.exitCode).toBe(0);
    const long = (days: number): Timestamp => formatTimestamp(new Date(Date.now() - days * DAY));
    const records = async (where: FolderStore): Promise<number> => {
      let found = 0;
      for await (const { name } of where.list('prod/runs/')) if (name.includes(long(500).slice(0, 8))) found += 1;
      return found;
    };
    for (const where of [store, new FolderStore(at('b'))]) {
      for (const days of [500, 450]) {
        await writeRunRecord(where, 'prod', long(days), {
          ...{ step: 'mongodb-backup', outcome: 'succeeded', component: 'mongodb', backup: long(days) },
          ...{ started: new Date(), finished: new Date(), run: { id: '1' } },
        });
      }
    }
    const { finish } = await run('apply-retention', { store: 'primary', confirm: 'prod' });
    expect(finish).toMatchObject({ exitCode: 0, result: { records: { runs: 1 } } });
    expect([await records(store), await records(new FolderStore(at('b')))]).toEqual([0, 1]);
  });

  test('a component whose store is down stays as it is, and does not keep the others from theirs', async () => {
    writeFileSync(at('file'), '');
    const more = `  orders: { kind: mongodb, source: { uri: "mongodb://localhost" }, store: down, retention: { last: 1 } }\n`;
    const text = readFileSync(at('dr.yml'), 'utf8').replace('offsite:', `down: { kind: folder, path: ${at('file')} }, offsite:`);
    writeFileSync(at('dr.yml'), text + more);
    const { finish } = await run('apply-retention', { confirm: 'prod' });
    expect(finish).toMatchObject({ outcome: 'partial', exitCode: 3, result: { removed: 2 } });
    expect(finish.warnings).toEqual([expect.stringMatching(/^Nothing of orders is removed: .*is a file/)]);
    const alone = await run('apply-retention', { component: 'orders', confirm: 'prod' });
    expect(alone.finish).toMatchObject({ exitCode: 1, error: { message: expect.stringContaining('is a file') } });
  });

  test('says what to do without dr.yml rules', async () => {
    writeFileSync(at('dr.yml'), readFileSync(at('dr.yml'), 'utf8').replace(/, retention:.*}/, ' }'));
    const { finish } = await run('apply-retention', { confirm: 'prod' });
    expect(finish).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining('no retention rules for mongodb') } });
  });
});

describe('hold-backup and release-hold', () => {
  test('keep a backup from retention until it is released, in every store', async () => {
    const held = await run('hold-backup', { timestamp: timestamps[0] as string, reason: 'INC-4711', holdFor: 'ever' });
    expect(held.finish).toMatchObject({ exitCode: 0, result: { until: null } });
    const list = await run('list-backups', { component: 'mongodb', store: 'primary' });
    expect(JSON.stringify(list.finish.result)).toContain('INC-4711');
    await run('apply-retention', { confirm: 'prod' });
    expect(await listed()).toEqual([timestamps[0], ...timestamps.slice(2)]);

    const latest = await run('hold-backup', { timestamp: 'latest', reason: 'INC-4712', holdFor: 'ever' });
    const newest = await run('release-hold', { timestamp: 'latest' });
    expect(newest.finish).toMatchObject({ exitCode: 0, result: { timestamp: (latest.finish.result as { timestamp: string }).timestamp } });

    const released = await run('release-hold', { timestamp: timestamps[0] as string });
    expect(released.finish.exitCode).toBe(0);
    const none = await run('release-hold', { timestamp: timestamps[0] as string });
    expect(none.finish).toMatchObject({ exitCode: 1, error: { message: expect.stringContaining('has no hold') } });
    await run('apply-retention', { confirm: 'prod' });
    expect(await listed()).toEqual(timestamps.slice(2));
  });

  test('a backup that retention is removing at this moment cannot be held any more, and says so', async () => {
    await store.write(backupNames('prod', 'mongodb', timestamps[0] as Timestamp).prune, Buffer.from('{}'));
    const { finish } = await run('hold-backup', { timestamp: timestamps[0] as string, reason: 'INC-4711' });
    expect(finish).toMatchObject({ exitCode: 1, error: { message: expect.stringContaining('is being removed by retention') } });
  });

  test.each([
    ['holdFor', '0d'],
    ['holdFor', 'soon'],
  ])('refuse %s=%s', async (name, value) => {
    const { finish } = await run('hold-backup', { reason: 'r', [name]: value });
    expect(finish.exitCode).toBe(2);
  });
});

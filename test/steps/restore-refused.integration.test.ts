// A restore that the server refuses in the middle: what it had made is gone again, or named. And names that would break a line.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { startRefusingMongo, type RefusingMongo } from '../backends/refusing-mongo.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, stateOf, type Bench, type Place, type Ran } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('a restore', () => {
  let bench: Bench;
  let place: Place;
  let refusing: RefusingMongo;
  beforeAll(async () => {
    bench = await startBench();
    refusing = await startRefusingMongo(bench.mongo.uri);
  });
  beforeEach(async () => {
    place = bench.place();
    refusing.forbidden.clear();
    for (const name of ['shop', 'shop_check']) await bench.client.db(name).dropDatabase();
    await fill(bench.client, 'shop');
  });
  afterAll(async () => {
    await refusing.stop();
    await bench.stop();
  });

  const filesBelow = (path: string): string[] => readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
  const backUp = (): Promise<Ran> => run('mongodb-backup', { ...place.inputs, include: 'shop' });
  const restore = (more: Record<string, string>): Promise<Ran> =>
    run('mongodb-restore', { ...place.inputs, mongodbUri: refusing.uri, confirm: 'shop', ...more });

  test('that the server refuses leaves nothing of what it had made', async () => {
    expect((await backUp()).said).toBe('');
    refusing.forbidden.add('insert');
    const { exitCode, said } = await restore({ rename: 'shop=shop_check' });
    expect(exitCode).toBe(1);
    expect(said).toMatch(/^Writing documents of shop_check\.\w+ failed: .* What it had made is removed again \(\d collections?\)\./);
    expect(await stateOf(bench.client, 'shop_check')).toEqual({});
  });

  test('names what is half-made where it cannot be removed, and what is half-restored', async () => {
    expect((await backUp()).said).toBe('');
    for (const name of ['insert', 'drop']) refusing.forbidden.add(name);
    const made = await restore({ rename: 'shop=shop_check' });
    expect(made.said).toMatch(/Half-made, and still there: shop_check\.\w+/);
    refusing.forbidden.delete('drop');
    await bench.client.db('shop').collection('customers').drop();
    const replaced = await restore({ replace: 'true' });
    expect(replaced.said).toMatch(/Half-restored: shop\.orders\.\n.*Put back what was replaced: lifeboat mongodb-restore/);
    expect(Object.keys(await stateOf(bench.client, 'shop'))).not.toContain('customers');
  });

  test('that was interrupted is known by the next one and by a rollback, which goes to the last whole state', async () => {
    expect((await backUp()).said).toBe('');
    await bench.client
      .db('shop')
      .collection('customers')
      .insertOne({ _id: 'later' as never });
    await bench.client.db('shop').collection('customers').drop();
    await bench.client
      .db('shop')
      .collection('orders')
      .insertOne({ _id: 'later' as never, number: -1 });
    const original = await stateOf(bench.client, 'shop');
    refusing.forbidden.add('insert');
    expect((await restore({ replace: 'true' })).exitCode).toBe(1);
    expect(await stateOf(bench.client, 'shop')).not.toEqual(original);
    // A run that is killed leaves no record at all.
    for (const name of filesBelow(join(place.store, 'shop', 'runs')).filter((path) => path.includes('mongodb-restore'))) rmSync(name);
    refusing.forbidden.clear();
    await bench.client
      .db('shop')
      .collection('orders')
      .insertOne({ _id: 'half' as never, number: -2 });
    const again = await restore({ replace: 'true' });
    const { safetyTimestamp } = again.finish.result as { safetyTimestamp: string };
    const first = again.log.join('\n').match(/Interrupted +.*before it is in mongodb-safety (\d+_\d+)/)?.[1] ?? 'none';
    expect(again.log.join('\n')).toContain(
      `that rollback puts back mongodb-safety ${first}, the last whole state, and not what it had left (${safetyTimestamp})`,
    );

    const plan = await restore({ rollback: 'true', replace: 'true', dryRun: 'true' });
    expect(plan.summary).toContain(
      `mongodb-safety ${safetyTimestamp} holds what an interrupted restore had left, mongodb-safety ${first} the last whole state before it.`,
    );
    expect(plan.summary).toContain(`This puts back ${first}; the timestamp ${safetyTimestamp} would choose the other.`);
    expect((await restore({ rollback: 'true', replace: 'true' })).said).toBe('');
    expect(await stateOf(bench.client, 'shop')).toEqual(original);
    // And the other one when it is asked for.
    expect((await restore({ rollback: 'true', replace: 'true', timestamp: safetyTimestamp })).said).toBe('');
    expect(
      await bench.client
        .db('shop')
        .collection('orders')
        .countDocuments({ _id: 'half' as never }),
    ).toBe(1);
  });

  test('shows a control character in a name as what it is, in plan, summary and errors', async () => {
    await bench.client.db('shop').collection('evil\n! all is well').insertOne({ a: 1 });
    expect((await backUp()).summary).toContain('shop.evil\\n! all is well');
    const refused = await restore({});
    expect(refused.said).toContain('shop.evil\\n! all is well');
    const plan = await restore({ replace: 'true', dryRun: 'true' });
    const restored = await restore({ replace: 'true' });
    expect(restored.said).toBe('');
    for (const text of [plan.summary, plan.log.join('\n'), restored.summary]) {
      expect(text).toContain('evil\\n! all is well');
      expect(text).not.toMatch(/^! all is well/m);
    }
  });

  test('says in its plan what is replaced, what is kept, under which names, and counts one as one', async () => {
    await bench.client
      .db('shop')
      .collection('customers')
      .deleteMany({ _id: 'c1' as never });
    await bench.client.db('shop').collection('orders').drop();
    expect((await backUp()).said).toBe('');
    await fill(bench.client, 'shop_check');
    await bench.client.db('shop_check').collection('own').insertOne({ a: 1 });
    const { summary } = await restore({ dryRun: 'true', rename: 'shop=shop_check', replace: 'true' });
    expect(summary).toContain('1 document in 1 collection, with the built-in engine');
    expect(summary).toMatch(/Restores as.*shop → shop_check/);
    expect(summary).toMatch(
      /Keeps.*2 collections of shop_check that the restore does not touch \(shop_check\.orders, shop_check\.own\), and every other/,
    );
    expect(summary).toMatch(/Takes.*a time that is not known yet \(there was no restore of it to go by; the backup took/);
    await bench.client.db('shop').dropDatabase();
    await fill(bench.client, 'shop', 10);
    place = bench.place();
    expect((await backUp()).said).toBe('');
    const both = await restore({ dryRun: 'true', replace: 'true' });
    expect(both.summary).toMatch(/2 collections, 1\d documents will be replaced\n- shop\.orders: 10 documents are replaced/);
  });
});

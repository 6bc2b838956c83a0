// What every vault must do, whatever its kind.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
import { VaultError } from '../../shared/vaults/errors.ts';
import type { Vault } from '../../shared/vaults/vault.ts';

export interface VaultUnderTest {
  /** Opens the same vault again, as another process would. */
  open(): Promise<Vault>;
  /** Whether deleted secrets can be brought back. */
  softDelete: boolean;
  stop(): Promise<void>;
}

async function names(vault: Vault): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of vault.list()) found.push(name);
  return found.sort();
}

/** The error a promise ends with; fails when it does not. */
export async function failureOf(work: Promise<unknown>): Promise<Error & { fix?: string }> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof Error) return thrown;
  }
  throw new Error('it did not fail');
}

export function describeVault(kind: string, start: () => Promise<VaultUnderTest>): void {
  describe(`${kind} as a vault`, () => {
    let place: VaultUnderTest;
    let vault: Vault;
    beforeAll(async () => {
      place = await start();
      vault = await place.open();
    });
    afterAll(async () => {
      await place.stop();
    });

    test('gives back what was set, with its content type and tags, to another process too', async () => {
      const set = await vault.set('first', 'väl\nue "1"', { contentType: 'text/plain', tags: { component: 'mongodb' } });
      const got = await (await place.open()).get('first');
      expect(got).toMatchObject({ name: 'first', value: 'väl\nue "1"', contentType: 'text/plain', tags: { component: 'mongodb' } });
      expect([got?.id, got?.version]).toEqual([set.id, set.version]);
      expect(Math.abs((got?.created.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
      expect(vault.parseId(set.id)).toEqual({ name: 'first', version: set.version });
    });

    test('keeps every version and gives the latest one unless told which', async () => {
      const versions = [];
      for (const value of ['a', 'b', 'c']) versions.push((await vault.set('versions', value)).version);
      expect(new Set(versions).size).toBe(3);
      expect((await vault.get('versions'))?.value).toBe('c');
      expect((await vault.get('versions', undefined, versions[0]))?.value).toBe('a');
      expect(await vault.get('versions', undefined, '0'.repeat(32))).toBeUndefined();
    });

    test('says undefined, false and nothing for what was never there', async () => {
      expect(await vault.get('never')).toBeUndefined();
      expect(await vault.delete('never')).toBe(false);
      expect(await vault.deleted('never')).toBeUndefined();
      expect(await vault.recover('never')).toBe(false);
    });

    test('takes upper and lower case for the same name', async () => {
      await vault.set('case', 'x');
      expect((await vault.get('CASE'))?.value).toBe('x');
      await vault.set('Case', 'y');
      expect((await vault.get('case'))?.value).toBe('y');
      expect((await names(vault)).filter((name) => name.toLowerCase() === 'case')).toHaveLength(1);
    });

    test.each(['', '.', '..', '../up', 'under_score', 'a/b', 'new\nline', 'ü', 'x'.repeat(128)])('refuses the name %j', async (name) => {
      for (const work of [() => vault.set(name, 'x'), () => vault.get(name), () => vault.delete(name)]) {
        const error = await failureOf(work());
        expect(error).toBeInstanceOf(VaultError);
        expect(error.fix).toContain('letters, digits and dashes');
      }
    });

    test('takes the largest value, refuses one byte more, and shows neither', async () => {
      await vault.set('large', 'x'.repeat(vault.maxValueBytes));
      expect((await vault.get('large'))?.value).toHaveLength(vault.maxValueBytes);
      const error = await failureOf(vault.set('large', `${'ä'.repeat(vault.maxValueBytes / 2)}!`));
      expect(error).toBeInstanceOf(VaultError);
      expect(error.message).toContain(String(vault.maxValueBytes + 1));
      expect(error.message.length).toBeLessThan(300);
    });

    test('lists each name once, without deleted ones', async () => {
      for (let index = 0; index < 27; index += 1) await vault.set(`list-${index}`, 'x');
      await vault.delete('list-3');
      const listed = (await names(vault)).filter((name) => name.startsWith('list-'));
      expect(listed).toHaveLength(26);
      expect(listed).not.toContain('list-3');
    });

    test('a deleted secret is gone at once, and its name can be used again', async () => {
      await vault.set('again', 'old');
      expect(await vault.delete('again')).toBe(true);
      expect(await vault.get('again')).toBeUndefined();
      expect(await vault.delete('again')).toBe(false);
      await vault.set('again', 'new');
      expect((await vault.get('again'))?.value).toBe('new');
    });

    test('what it can bring back comes back with its value', async () => {
      const { version } = await vault.set('back', 'value');
      expect(await vault.recover('back')).toBe(false);
      await vault.delete('back');
      expect(await vault.recover('back')).toBe(place.softDelete);
      expect(await vault.deleted('back')).toBeUndefined();
      expect((await vault.get('back', undefined, version))?.value).toBe(place.softDelete ? 'value' : undefined);
    });

    test('two writers at once leave two versions, and one of them is the latest', async () => {
      const other = await place.open();
      const [one, two] = await Promise.all([vault.set('race', 'one'), other.set('race', 'two')]);
      expect(one.version).not.toBe(two.version);
      expect((await vault.get('race', undefined, one.version))?.value).toBe('one');
      expect((await vault.get('race', undefined, two.version))?.value).toBe('two');
    });

    test('does nothing once it is cancelled', async () => {
      const signal = AbortSignal.abort();
      await expect(vault.set('cancelled', 'x', { signal })).rejects.toThrow(CancelledError);
      await expect(vault.get('cancelled', signal)).rejects.toThrow(CancelledError);
      await expect(vault.delete('cancelled', signal)).rejects.toThrow(CancelledError);
      expect(await vault.get('cancelled')).toBeUndefined();
    });

    test('an id of another vault is not its own', () => {
      expect(vault.parseId('https://elsewhere.vault.azure.net/secrets/x/0123456789abcdef0123456789abcdef')).toBeUndefined();
      expect(vault.parseId('../x/1')).toBeUndefined();
    });
  });
}

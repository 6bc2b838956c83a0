// What every key recipient must do, whatever its kind.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { CancelledError, VerificationError } from '../../shared/step/errors.ts';
import { KeyMissingError, VaultError } from '../../shared/vaults/errors.ts';
import type { KeyRecipient, WrappedKey } from '../../shared/vaults/vault.ts';
import { failureOf } from './conformance.ts';

export interface RecipientUnderTest {
  recipient: KeyRecipient;
  /** The same recipient, opened afresh. */
  reopen(): Promise<KeyRecipient>;
  /** One of the same kind that is somebody else. */
  stranger: KeyRecipient;
  /** Takes away what opens the key, by the back door. */
  loseKey(wrapped: WrappedKey): Promise<void>;
  /** Brings it back. */
  bringBack(wrapped: WrappedKey): Promise<void>;
  stop(): Promise<void>;
}

/** What is not the same for all kinds. */
export interface RecipientTraits {
  /** Each backup has a key of its own. */
  perBackup: boolean;
  /** It asks a vault, which can lose a key; escrow asks nobody, and there is nothing to lose or to cancel. */
  asksVault: boolean;
  /** A lost key can be brought back. */
  recoverable: boolean;
}

let clock = 0;
/** A backup of its own for every test: 40 bytes as the format wraps them. */
function backup() {
  clock += 1;
  const timestamp = `20241201_${String(120_000 + clock)}`;
  return { key: Buffer.concat([Buffer.from('2.0\0\0\0\0\0'), randomBytes(32)]), context: { component: 'mongodb', timestamp } };
}

export function describeRecipient(title: string, traits: RecipientTraits, start: () => Promise<RecipientUnderTest>): void {
  const { perBackup, asksVault, recoverable } = traits;
  describe(`${title} as a key recipient`, () => {
    let given: RecipientUnderTest;
    beforeAll(async () => {
      given = await start();
    });
    afterAll(async () => {
      await given.stop();
    });

    test('opens what it wrapped, also when opened afresh', async () => {
      const { key, context } = backup();
      const wrapped = await given.recipient.wrap(key, context);
      expect(wrapped.kind).toBe(given.recipient.kind);
      expect(wrapped.encryptedKey).not.toContain(key.toString('base64').slice(11, 30));
      expect(given.recipient.matches(wrapped)).toBe(true);
      expect(Buffer.from(await given.recipient.unwrap(wrapped, context))).toEqual(key);
      expect(Buffer.from(await (await given.reopen()).unwrap(wrapped, context))).toEqual(key);
    });

    test('gives two backups that meet in name and second keys of their own: forgetting one leaves the other', async () => {
      const { key, context } = backup();
      const other = backup().key;
      const first = await given.recipient.wrap(key, context);
      const second = await given.recipient.wrap(other, context);
      await given.recipient.forget(second);
      expect(Buffer.from(await given.recipient.unwrap(first, context))).toEqual(key);
    });

    test('tells which backups of a store it keeps keys of, where it keeps a key per backup', async () => {
      const [first, second, elsewhere, other] = [backup(), backup(), backup(), backup()];
      const wrap = ({ key, context }: ReturnType<typeof backup>, store: string, component = 'mongodb') =>
        given.recipient.wrap(key, { ...context, component, store });
      const wrapped = await wrap(first, 'here');
      await wrap(second, 'here');
      await wrap(elsewhere, 'there');
      await wrap(other, 'here', 'secrets');
      const known = async () => (await given.recipient.backupsIn?.('here', 'mongodb'))?.toSorted();
      if (!perBackup) {
        expect(await known()).toBeUndefined();
        return;
      }
      expect(await known()).toEqual([first.context.timestamp, second.context.timestamp]);
      await given.recipient.forget(wrapped);
      expect(await known()).toEqual([second.context.timestamp]);
    });

    test('survives a round trip through JSON', async () => {
      const { key, context } = backup();
      const wrapped = JSON.parse(JSON.stringify(await given.recipient.wrap(key, context))) as WrappedKey;
      expect(Buffer.from(await given.recipient.unwrap(wrapped, context))).toEqual(key);
    });

    test('notices every changed byte of the wrapped key', async () => {
      const { key, context } = backup();
      const wrapped = await given.recipient.wrap(key, context);
      const bytes = Buffer.from(wrapped.encryptedKey, 'base64');
      for (const index of [0, 1, Math.floor(bytes.length / 2), bytes.length - 1]) {
        const changed = Buffer.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ 1;
        const error = await failureOf(given.recipient.unwrap({ ...wrapped, encryptedKey: changed.toString('base64') }, context));
        expect(error).toBeInstanceOf(VerificationError);
        expect(error.message).toContain(context.timestamp);
      }
      for (const encryptedKey of ['', bytes.subarray(0, 24).toString('base64')]) {
        await expect(given.recipient.unwrap({ ...wrapped, encryptedKey }, context)).rejects.toThrow(VerificationError);
      }
    });

    test('a stranger of the same kind does not open it', async () => {
      const { key, context } = backup();
      const wrapped = await given.recipient.wrap(key, context);
      await expect(given.stranger.unwrap(wrapped, context)).rejects.toThrow(VaultError);
    });

    const ifAsksVault = (title: string, body: () => Promise<void>): void => {
      if (asksVault) test(title, body);
    };

    ifAsksVault('says which key is missing and what to do', async () => {
      const { key, context } = backup();
      const wrapped = await given.recipient.wrap(key, context);
      await given.loseKey(wrapped);
      const error = await failureOf(given.recipient.unwrap(wrapped, context));
      expect(error).toBeInstanceOf(KeyMissingError);
      expect(error.fix).toBeTruthy();
      if (!recoverable) return;
      expect(error.fix).toMatch(/az keyvault (secret|key) recover/);
      await given.bringBack(wrapped);
      expect(Buffer.from(await given.recipient.unwrap(wrapped, context))).toEqual(key);
    });

    test('forgets a key of one backup, and never touches a long-lived one', async () => {
      const { key, context } = backup();
      const other = backup();
      const wrapped = await given.recipient.wrap(key, context);
      const kept = await given.recipient.wrap(other.key, other.context);
      expect(await given.recipient.forget(wrapped)).toBe(perBackup);
      expect(await given.recipient.forget(wrapped)).toBe(false);
      if (perBackup) await expect(given.recipient.unwrap(wrapped, context)).rejects.toThrow(KeyMissingError);
      else expect(Buffer.from(await given.recipient.unwrap(wrapped, context))).toEqual(key);
      expect(Buffer.from(await given.recipient.unwrap(kept, other.context))).toEqual(other.key);
    });

    ifAsksVault('stops when it is cancelled', async () => {
      const { key, context } = backup();
      const wrapped = await given.recipient.wrap(key, context);
      const signal = AbortSignal.abort();
      await expect(given.recipient.wrap(key, { ...context, signal })).rejects.toThrow(CancelledError);
      await expect(given.recipient.unwrap(wrapped, { ...context, signal })).rejects.toThrow(CancelledError);
    });
  });
}

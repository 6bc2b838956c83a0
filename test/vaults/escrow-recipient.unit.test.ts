import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../shared/step/errors.ts';
import { Secret } from '../../shared/step/input.ts';
import { EscrowRecipient } from '../../shared/vaults/recipients/escrow.ts';
import { KeyMissingError } from '../../shared/vaults/errors.ts';
import { failureOf } from './conformance.ts';
import { describeRecipient } from './recipient-conformance.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-escrow-'));
const at = (name: string): string => join(folder, name);
const PASSPHRASE = 'planted-passphrase';
let spki: Buffer;

beforeAll(() => {
  for (const name of ['mine', 'other']) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
    if (name === 'mine') spki = publicKey.export({ type: 'spki', format: 'der' });
    writeFileSync(at(`${name}-public.pem`), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(at(`${name}-private.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(
      at(`${name}-locked.pem`),
      privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE }),
    );
  }
  writeFileSync(at('small.pem'), generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(at('curve.pem'), generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(at('noise.pem'), 'not a key');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describeRecipient('escrow', { perBackup: false, asksVault: false, recoverable: false }, async () => ({
  recipient: await EscrowRecipient.open({ publicKey: at('mine-public.pem'), privateKey: at('mine-private.pem') }),
  reopen: () => EscrowRecipient.open({ privateKey: at('mine-locked.pem'), passphrase: new Secret(PASSPHRASE) }),
  loseKey: async () => undefined,
  bringBack: async () => undefined,
  stranger: await EscrowRecipient.open({ privateKey: at('other-private.pem') }),
  stop: async () => undefined,
}));

describe('escrow keys', () => {
  test('the fingerprint is the SHA-256 of the public key, as openssl shows it', async () => {
    const { location } = await EscrowRecipient.open({ publicKey: at('mine-public.pem') });
    expect(location).toBe(`sha256:${createHash('sha256').update(spki).digest('hex')}`);
  });

  test('without the private key it wraps, and says what opening needs', async () => {
    const recipient = await EscrowRecipient.open({ publicKey: at('mine-public.pem') });
    const context = { component: 'mongodb', timestamp: '20241201_120000' };
    const wrapped = await recipient.wrap(Buffer.alloc(40));
    const error = await failureOf(recipient.unwrap(wrapped, context));
    expect(error).toBeInstanceOf(KeyMissingError);
    expect(error.message).toContain(recipient.location);
  });

  test.each([
    ['a key that is too short', { publicKey: 'small.pem' }, /2048 bits; it must be RSA with at least 3072/],
    ['a key that is not RSA', { publicKey: 'curve.pem' }, /of type ec/],
    ['a file that is no key', { publicKey: 'noise.pem' }, /not a PEM key file/],
    ['a missing file', { publicKey: 'missing.pem' }, /cannot be read/],
    ['a private key where the public one belongs', { publicKey: 'mine-private.pem' }, /holds a private key/],
    ['halves of two keys', { publicKey: 'mine-public.pem', privateKey: 'other-private.pem' }, /does not belong/],
    ['a passphrase that is missing', { privateKey: 'mine-locked.pem' }, /protected by a passphrase/],
    ['nothing at all', {}, /needs a key/],
  ])('%s is refused with a reason', async (_what, files, message) => {
    const options = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, at(file)]));
    const error = await failureOf(EscrowRecipient.open(options));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toMatch(message);
    expect(error.fix).toBeTruthy();
  });

  test('a wrong passphrase is refused and not shown', async () => {
    const error = await failureOf(EscrowRecipient.open({ privateKey: at('mine-locked.pem'), passphrase: new Secret('planted-wrong') }));
    expect(error.message).toContain('passphrase does not open');
    expect(`${error.message}${error.fix}`).not.toContain('planted');
  });
});

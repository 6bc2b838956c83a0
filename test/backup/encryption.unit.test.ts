// Regions: the bytes of Azure client-side encryption v2, checked against an independent writing of the same rules.
import { createDecipheriv, createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  decryptRegions,
  encodeEncryptionData,
  parseEncryptionData,
  RegionEncoder,
  regionCount,
  storedOffset,
  storedSize,
} from '../../shared/backup/encryption.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import type { WrappedKey } from '../../shared/vaults/vault.ts';
import { collect, inPieces, MIB, noise } from './support.ts';

const key = noise(32, 'key');
const REGION = 4 * MIB;
const wrapped: WrappedKey = {
  kind: 'key-vault-key',
  keyId: 'https://kv.vault.azure.net/keys/k/0123',
  algorithm: 'RSA-OAEP-256',
  encryptedKey: 'AAAA',
};

function encrypt(plain: Buffer, pieceBytes = 300_001): { stored: Buffer; encoder: RegionEncoder } {
  const encoder = new RegionEncoder(key);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < plain.length; at += pieceBytes) parts.push(...encoder.update(plain.subarray(at, at + pieceBytes)));
  parts.push(...encoder.end());
  return { stored: Buffer.concat(parts), encoder };
}

/** Written from the description alone: nonce, ciphertext, tag; nonce is the region's number. */
function decryptByTheBook(stored: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, region = 0n; at < stored.length; at += REGION + 28, region += 1n) {
    const bytes = stored.subarray(at, at + REGION + 28);
    const nonce = Buffer.from(region.toString(16).padStart(24, '0'), 'hex');
    expect(bytes.subarray(0, 12)).toEqual(nonce);
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAuthTag(bytes.subarray(-16));
    parts.push(decipher.update(bytes.subarray(12, -16)), decipher.final());
  }
  return Buffer.concat(parts);
}

const decrypt = (stored: Buffer, pieceBytes?: number): Promise<Buffer> =>
  collect(decryptRegions(inPieces(stored, pieceBytes), { contentKey: key, label: 'x (data)' }));

describe('regions', () => {
  test.each([0, 1, REGION - 1, REGION, REGION + 1, 2 * REGION, 2 * REGION + 17])(
    '%d bytes are encrypted as described and come back',
    async (length) => {
      const plain = noise(length);
      const { stored, encoder } = encrypt(plain);
      expect(stored.length).toBe(storedSize(length));
      expect(encoder.storedBytes).toBe(stored.length);
      expect(encoder.compressedBytes).toBe(length);
      expect(encoder.regions).toBe(regionCount(length));
      expect(encoder.sha256()).toBe(createHash('sha256').update(stored).digest('hex'));
      expect(decryptByTheBook(stored).equals(plain)).toBe(true);
      expect((await decrypt(stored)).equals(plain)).toBe(true);
      expect((await decrypt(stored, 3 * MIB)).equals(plain)).toBe(true);
    },
  );

  test('an offset in the compressed stream maps to the byte that holds it', () => {
    expect(storedOffset(0)).toBe(12);
    expect(storedOffset(REGION - 1)).toBe(REGION + 11);
    expect(storedOffset(REGION)).toBe(REGION + 28 + 12);
  });

  test('every flipped byte is noticed before anything of its region is given out', async () => {
    const { stored } = encrypt(noise(100));
    for (let at = 0; at < stored.length; at += 1) {
      const damaged = Buffer.from(stored);
      damaged[at] = (damaged[at] as number) ^ 0x20;
      const given: Buffer[] = [];
      const read = async (): Promise<void> => {
        for await (const piece of decryptRegions(inPieces(damaged), { contentKey: key, label: 'x (data)' })) given.push(piece);
      };
      await expect(read()).rejects.toThrow('x (data) is damaged between byte 0 and byte 127');
      expect(given).toEqual([]);
    }
  });

  test('swapped and missing regions are noticed', async () => {
    const { stored } = encrypt(noise(2 * REGION));
    const [first, second] = [stored.subarray(0, REGION + 28), stored.subarray(REGION + 28)];
    await expect(decrypt(Buffer.concat([second, first]))).rejects.toThrow('region 0 does not carry its own number');
    await expect(decrypt(second)).rejects.toThrow(VerificationError);
  });

  test('a stream that ends inside a region is an error that names the byte', async () => {
    const { stored } = encrypt(noise(REGION + 100));
    await expect(decrypt(stored.subarray(0, REGION + 28 + 20))).rejects.toThrow(`is cut at byte ${REGION + 48}`);
    await expect(decrypt(stored.subarray(0, REGION + 28 + 60))).rejects.toThrow(`between byte ${REGION + 28} and byte ${REGION + 87}`);
  });
});

describe('encryptiondata', () => {
  test("is what Microsoft's Python SDK writes, in its key order", () => {
    expect(encodeEncryptionData(wrapped)).toBe(
      '{"WrappedContentKey":{"KeyId":"https://kv.vault.azure.net/keys/k/0123","EncryptedKey":"AAAA","Algorithm":"RSA-OAEP-256"},' +
        '"EncryptionAgent":{"Protocol":"2.0","EncryptionAlgorithm":"AES_GCM_256"},"EncryptedRegionInfo":{"DataLength":4194304,"NonceLength":12},' +
        '"KeyWrappingMetadata":{"EncryptionLibrary":"Lifeboat"},"EncryptionMode":"FullBlob"}',
    );
  });

  test('is ASCII whatever the key is called, and comes back the same', () => {
    const text = encodeEncryptionData({ ...wrapped, keyId: 'schlüssel-鍵' });
    expect(text).toMatch(/^[\x20-\x7e]*$/);
    expect(parseEncryptionData(text, 'x')).toMatchObject({ keyId: 'schlüssel-鍵' });
  });

  test.each([
    ['another protocol', '"2.0"', '"1.0"'],
    ['another region size', '4194304', '16'],
    ['no JSON', '{', '['],
  ])('%s is refused', (_, from, to) => {
    expect(() => parseEncryptionData(encodeEncryptionData(wrapped).replace(from, to), 'x')).toThrow(VerificationError);
  });
});

// Reading: every flipped byte and every cut of a stored backup is detected and named; who may open it; what verification compares.
import { describe, expect, test } from '@jest/globals';
import { contentKeyFromMetadata, decryptData } from '../../shared/backup/decrypt.ts';
import { openBackup, verifyBackup } from '../../shared/backup/read.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import { KeyMissingError } from '../../shared/vaults/errors.ts';
import { MemoryRecipient } from '../support/memory-recipient.ts';
import { collect, countingInspector, inPieces, MIB, noise, TIME, timestamp, world } from './support.ts';

const text = Buffer.from('the quick brown fox jumps over the lazy dog. '.repeat(20));

describe('openBackup', () => {
  test.each([0, 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 9 * MIB])('%d incompressible bytes come back the same', async (length) => {
    const plain = noise(length);
    for (const compression of [{ algorithm: 'zstd' }, { algorithm: 'none' }] as const) {
      const w = world();
      await w.write(plain, { compression });
      const opened = await w.open();
      expect((await collect(opened.plain())).equals(plain)).toBe(true);
      expect(opened.manifest.sizes.plain).toBe(length);
    }
  });

  test.each([-1, 0, 1])('compressed bytes of one region%d come back the same', async (more) => {
    // Without compression the compressed size is exactly the plain one; with it, the region's edge falls inside a frame.
    const w = world();
    const plain = noise(4 * MIB + more);
    await w.write(plain, { compression: { algorithm: 'none' } });
    expect((await w.open()).manifest.encryption.regions).toBe(more > 0 ? 2 : 1);
    expect((await collect((await w.open()).plain())).equals(plain)).toBe(true);
  });

  test('every flipped byte of the data is detected and named', async () => {
    const w = world();
    await w.write(text, { compression: { algorithm: 'zstd', frameBytes: 1024 } });
    const size = w.store.bytes(w.data).length;
    for (let at = 0; at < size; at += 1) {
      for (const mask of [0x01, 0x80]) {
        w.store.damage(w.data, (bytes) => flip(bytes, at, mask));
        const opened = await w.open();
        await expect(collect(opened.plain())).rejects.toThrow(
          expect.objectContaining({
            name: 'VerificationError',
            message: expect.stringMatching(/^mongodb 20241201_120000 \(prod.*data\) is damaged between byte 0 and/) as unknown as string,
          }),
        );
        w.store.damage(w.data, (bytes) => flip(bytes, at, mask));
      }
    }
    await expect(w.verify()).resolves.toMatchObject({ level: 'full' });
  });

  test('every truncation of the data, and bytes added to it, are detected and named', async () => {
    const w = world();
    await w.write(text);
    const whole = Buffer.from(w.store.bytes(w.data));
    for (let length = 0; length < whole.length; length += 1) {
      w.store.damage(w.data, () => whole.subarray(0, length));
      await expect(w.open()).rejects.toThrow(
        `mongodb 20241201_120000 (${w.data}) is cut at byte ${length}: ${whole.length} bytes were written.`,
      );
    }
    w.store.damage(w.data, () => Buffer.concat([whole, Buffer.alloc(1)]));
    await expect(w.open()).rejects.toThrow(`has bytes after its end at byte ${whole.length}`);
    w.store.objects.delete(w.data);
    await expect(w.open()).rejects.toThrow('is gone');
  });

  test('a stream that is cut while it is read is detected, also between two regions', async () => {
    const w = world();
    const plain = noise(8 * MIB);
    await w.write(plain, { compression: { algorithm: 'none' } });
    const region = 4 * MIB + 28;
    for (const cut of [0, 64 * 1024, region, region + 64 * 1024]) {
      w.store.faults = { onOpenChunk: (chunk, offset) => chunk.subarray(0, Math.max(0, Math.min(chunk.length, cut - offset))) };
      await expect(collect((await w.open()).plain())).rejects.toThrow(VerificationError);
    }
  });

  test('every flipped byte of the manifest is detected and named', async () => {
    const w = world();
    await w.write(text);
    const size = w.store.bytes(w.manifest).length;
    for (let at = 0; at < size; at += 1) {
      w.store.damage(w.manifest, (bytes) => flip(bytes, at, 0x01));
      await expect(w.open()).rejects.toThrow(
        expect.objectContaining({
          name: 'VerificationError',
          message: expect.stringContaining('mongodb 20241201_120000 (prod/mongodb/20241201_120000/manifest.json)') as unknown as string,
        }),
      );
      w.store.damage(w.manifest, (bytes) => flip(bytes, at, 0x01));
    }
  });

  test("another backup's manifest or data in its place is detected", async () => {
    const w = world();
    await w.write(text);
    const later = timestamp('20241202_120000');
    await w.write(text, { timestamp: later });
    w.store.damage(w.data, () => Buffer.from(w.store.bytes(`prod/mongodb/${later}/data`)));
    await expect(w.verify()).rejects.toThrow(VerificationError);
    w.store.damage(w.manifest, () => Buffer.from(w.store.bytes(`prod/mongodb/${later}/manifest.json`)));
    await expect(w.open()).rejects.toThrow('belongs to another backup: its field "timestamp" says "20241202_120000"');
  });

  test('nothing there, and data without a manifest, are told apart', async () => {
    const w = world();
    await expect(w.open()).rejects.toThrow('There is no backup mongodb 20241201_120000 in memory:.');
    await w.write(text);
    w.store.objects.delete(w.manifest);
    await expect(w.open()).rejects.toThrow('has data but no manifest: that backup was never completed');
  });
});

describe('recipients', () => {
  test('each alone can open it, in the order asked', async () => {
    const w = world();
    const escrow = new MemoryRecipient('escrow');
    await w.write(text, { recipients: [w.vault, escrow] });
    expect((await w.open({ recipients: [w.vault, escrow] })).recipient).toBe(w.vault);
    expect((await w.open({ recipients: [escrow] })).recipient).toBe(escrow);
    w.vault.keys.clear();
    const said: string[] = [];
    const onNotice = (message: string): void => void said.push(message);
    expect((await w.open({ recipients: [w.vault, escrow], onNotice })).recipient).toBe(escrow);
    expect(said).toEqual([expect.stringMatching(/^mongodb 20241201_120000 opens with memory:escrow only: .*is not in memory:folder/)]);
    await expect(w.open({ recipients: [w.vault] })).rejects.toThrow('is not in memory:folder');
  });

  test('a damaged key of the vault is told as that, also beside an escrow of which only the public half is there', async () => {
    const w = world();
    const escrow = new MemoryRecipient('escrow');
    await w.write(text, { recipients: [w.vault, escrow] });
    for (const id of w.vault.keys.keys()) w.vault.keys.set(id, Buffer.alloc(32));
    const publicHalf = Object.assign(new MemoryRecipient('escrow'), {
      wrapsOnly: true,
      faults: {
        unwrap: () => {
          throw new KeyMissingError('The private half is not here.');
        },
      },
    });
    await expect(w.open({ recipients: [w.vault, publicHalf] })).rejects.toThrow(
      expect.objectContaining({ name: 'VerificationError', message: expect.stringContaining('memory:folder/') as unknown as string }),
    );
    await expect(w.open({ recipients: [publicHalf] })).rejects.toThrow('The private half is not here.');
    expect((await w.open({ recipients: [w.vault, escrow] })).recipient).toBe(escrow);
  });

  test('a stranger is told who can open it', async () => {
    const w = world();
    await w.write(text);
    await expect(w.open({ recipients: [new MemoryRecipient('escrow')] })).rejects.toThrow(
      expect.objectContaining({
        name: 'KeyMissingError',
        message: 'None of the keys given opens the backup mongodb 20241201_120000.',
        fix: expect.stringContaining('folder memory:folder/') as unknown as string,
      }),
    );
  });
});

describe('verifyBackup', () => {
  test('compares the content with the manifest and names the first difference', async () => {
    const w = world();
    await w.write(text);
    const place = { store: w.store, prefix: 'prod', component: 'mongodb', timestamp: TIME, recipients: [w.vault] };
    const other = (): ReturnType<typeof countingInspector> => ({ ...countingInspector(), end: () => ({ bytes: 3, sha256: '' }) });
    await expect(verifyBackup({ ...place, newInspector: other })).rejects.toThrow(
      'mongodb 20241201_120000: the content is not what the manifest says: bytes: expected 900, found 3.',
    );
  });

  test("an inspector's complaint carries the backup's name", async () => {
    const w = world();
    await w.write(text);
    const place = { store: w.store, prefix: 'prod', component: 'mongodb', timestamp: TIME, recipients: [w.vault] };
    await expect(verifyBackup({ ...place, newInspector: () => countingInspector('THE END') })).rejects.toThrow(
      'mongodb 20241201_120000: The stream ends too early, at byte 900.',
    );
  });

  test('damaged keys beside the data are found before they are needed', async () => {
    const w = world();
    await w.write(text);
    const found = w.store.objects.get(w.data);
    if (!found) throw new Error('no data');
    w.store.objects.set(w.data, { ...found, info: { ...found.info, metadata: { ...found.info.metadata, lifeboatkeys: '[]' } } });
    await expect(w.verify()).rejects.toThrow(
      'the keys in the metadata "lifeboatkeys" of prod/mongodb/20241201_120000/data are not the manifest',
    );
  });

  test('a sample proves its regions and says how many', async () => {
    const w = world();
    await w.write(noise(40 * MIB), { compression: { algorithm: 'none' } });
    const place = {
      store: w.store,
      prefix: 'prod',
      component: 'mongodb',
      timestamp: TIME,
      recipients: [w.vault],
      newInspector: () => countingInspector(),
    };
    const sample = { ...place, level: 'sample', sample: { of: 4, part: 1 } } as const;
    // 0, 1, 5 and 9 of ten.
    await expect(verifyBackup(sample)).resolves.toMatchObject({ regionsRead: 4, regions: 10, storedBytesRead: 4 * (4 * MIB + 28) });
    w.store.damage(w.data, (bytes) => flip(bytes, 5 * (4 * MIB + 28) + 1000, 1));
    await expect(verifyBackup(sample)).rejects.toThrow(/region 5 fails its AES-GCM tag/);
    await expect(verifyBackup({ ...sample, sample: { of: 4, part: 2 } })).resolves.toBeDefined();
  });
});

describe('decryptData', () => {
  test('opens the data with its metadata alone, when the manifest is gone', async () => {
    const w = world();
    const plain = noise(5 * MIB);
    await w.write(plain);
    w.store.objects.delete(w.manifest);
    const metadata = w.store.objects.get(w.data)?.info.metadata ?? {};
    for (const known of [metadata, { encryptiondata: metadata['encryptiondata'] ?? '' }, { ...metadata, lifeboatkeys: 'damaged' }]) {
      const { contentKey } = await contentKeyFromMetadata(known, [w.vault], { component: 'mongodb', timestamp: TIME });
      expect((await collect(decryptData({ stored: w.store.open(w.data), contentKey, label: 'data' }))).equals(plain)).toBe(true);
    }
    await expect(contentKeyFromMetadata({}, [w.vault], { component: 'mongodb', timestamp: TIME })).rejects.toThrow(
      'has lost its metadata "encryptiondata"',
    );
  });

  test('names the damaged byte, refuses a key of the wrong length, and knows uncompressed data', async () => {
    const w = world();
    await w.write(text, { compression: { algorithm: 'none' } });
    const metadata = w.store.objects.get(w.data)?.info.metadata ?? {};
    const { contentKey } = await contentKeyFromMetadata(metadata, [w.vault], { component: 'mongodb', timestamp: TIME });
    const stored = w.store.bytes(w.data);
    expect((await collect(decryptData({ stored: inPieces(stored), contentKey, label: 'data' }))).equals(text)).toBe(true);
    await expect(collect(decryptData({ stored: inPieces(flip(Buffer.from(stored), 50, 1)), contentKey, label: 'data' }))).rejects.toThrow(
      'data is damaged between byte 0',
    );
    await expect(collect(decryptData({ stored: inPieces(stored), contentKey: Buffer.alloc(40), label: 'data' }))).rejects.toThrow(
      'has 40 bytes instead of 32',
    );
  });

  test('a cut between two regions leaves an unfinished frame, which is noticed', async () => {
    const w = world();
    await w.write(noise(9 * MIB));
    const metadata = w.store.objects.get(w.data)?.info.metadata ?? {};
    const { contentKey } = await contentKeyFromMetadata(metadata, [w.vault], { component: 'mongodb', timestamp: TIME });
    const cut = inPieces(w.store.bytes(w.data).subarray(0, 4 * MIB + 28));
    await expect(collect(decryptData({ stored: cut, contentKey, label: 'data' }))).rejects.toThrow('the zstd frame there is cut');
  });
});

describe('openBackup under cancel', () => {
  test('ends at once although the store hangs', async () => {
    const w = world();
    await w.write(text);
    const abort = new AbortController();
    Object.assign(w.store, { open: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }) }) });
    const opened = await openBackup({
      store: w.store,
      prefix: 'prod',
      component: 'mongodb',
      timestamp: TIME,
      recipients: [w.vault],
      signal: abort.signal,
    });
    setTimeout(() => {
      abort.abort();
    }, 5);
    await expect(collect(opened.plain())).rejects.toThrow('Cancelled');
  });
});

function flip(bytes: Buffer, at: number, mask: number): Buffer {
  bytes[at] = (bytes[at] as number) ^ mask;
  return bytes;
}

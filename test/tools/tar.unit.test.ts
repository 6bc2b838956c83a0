// Files of a tar, read from a stream as the readers of backups give it.
import { describe, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { VerificationError } from '../../shared/step/errors.ts';
import { readTar, type TarEntry } from '../../shared/tools/tar.ts';

const NAMES = Array.from({ length: 20 }, (_, index) => `file-${index}`);

async function tarOf(names: readonly string[]): Promise<Buffer> {
  const tar = pack();
  for (const name of names) tar.entry({ name }, name.repeat(500));
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** One buffer for every piece, as the readers of backups have it: it changes as soon as the next piece is asked for. */
async function* reusing(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const length = bytes.copy(buffer, 0, at, at + size);
    yield buffer.subarray(0, length);
    buffer.fill(0x5a);
  }
}

async function textOf(entry: TarEntry): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of entry) parts.push(part);
  return Buffer.concat(parts).toString();
}

const damaged = (reason: string, cause: unknown): VerificationError => new VerificationError(`damaged: ${reason}`, { cause });

async function allOf(stream: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of readTar(stream, textOf, damaged)) texts.push(text);
  return texts;
}

describe('the files of a tar', () => {
  test.each([700, 5000, 60_000])('are whole although each piece of %i bytes lies where the one before lay', async (size) => {
    expect(await allOf(reusing(await tarOf(NAMES), size))).toEqual(NAMES.map((name) => name.repeat(500)));
  });

  test('end with an error in the middle of one that is cut off', async () => {
    const bytes = await tarOf(NAMES);
    await expect(allOf(reusing(bytes.subarray(0, bytes.length / 2 + 100), 5000))).rejects.toThrow(/^damaged: Unexpected end of data/);
  });

  test('end with the error of the stream itself', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield (await tarOf(NAMES)).subarray(0, 5000);
      throw new VerificationError('The key does not fit.');
    }
    await expect(allOf(failing())).rejects.toThrow('The key does not fit.');
  });
});

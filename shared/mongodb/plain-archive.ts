// Unpacks a gzip archive on the way; passes a plain one on as it is.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

/** The plain bytes of an archive that may be gzip as a whole (`mongodump --gzip`). */
export async function* plainArchive(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = archive[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done) return;
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  };
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) yield* rest();
  else yield* gunzip(rest());
}

/**
 * Unpacks gzip. Leaving it early ends the source, too.
 * @throws zlib's errors (`code` is `Z_…`; `Z_BUF_ERROR` for a stream that ends too early) and the source's own
 */
export async function* gunzip(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unpacked = createGunzip({ chunkSize: 1024 * 1024 });
  // Copied, because the unpacking runs ahead of us while the caller may use its buffer again.
  const fed = pipeline(Readable.from(copies(packed)), unpacked).catch(() => undefined);
  try {
    yield* unpacked as AsyncIterable<Uint8Array>;
  } finally {
    unpacked.destroy();
    await fed;
  }
}

async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}

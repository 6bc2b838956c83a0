// Unpacks a gzip archive on the way; passes a plain one on as it is.
import { Readable } from 'node:stream';
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
  // Copied, because the unpacking runs ahead of us while the caller may use its buffer again.
  else yield* Readable.from(copies(rest())).compose(createGunzip({ chunkSize: 1024 * 1024 })) as AsyncIterable<Uint8Array>;
}

async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Uint8Array.from(chunk);
}

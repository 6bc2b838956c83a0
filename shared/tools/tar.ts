// The files of a tar that passes as a stream, and writing into a stream that is slower than its source.
import { extract, type Header } from 'tar-stream';
import { errorMessage, UserError } from '../step/errors.ts';

/** A file of a tar; read to its end, or `resume`d, before the next one comes. */
export type TarEntry = AsyncIterable<Uint8Array> & {
  header: Header & {
    /** Offset of its first byte in the tar. */
    byteOffset: number;
  };
  resume(): unknown;
};

/**
 * Hands each entry to `read`, and on what comes of it; undefined for entries that are passed over. The buffers of the source may be used again.
 * @throws UserError as source and `read` throw it; what `damaged` makes of anything else
 */
export async function* readTar<T>(
  tar: AsyncIterable<Uint8Array>,
  read: (entry: TarEntry) => T | undefined | Promise<T | undefined>,
  damaged: (reason: string, cause: unknown) => Error,
): AsyncGenerator<T> {
  const unpack = extract();
  let failure: unknown;
  const feeding = feed(tar, unpack).catch((thrown: unknown) => {
    failure = thrown;
    unpack.destroy(thrown as Error);
  });
  try {
    for await (const entry of unpack as AsyncIterable<TarEntry>) {
      const found = await read(entry);
      if (found !== undefined) yield found;
    }
    await feeding;
  } catch (thrown) {
    if (failure instanceof UserError) throw failure;
    if (thrown instanceof UserError) throw thrown;
    throw damaged(errorMessage(failure ?? thrown), thrown);
  } finally {
    unpack.destroy();
    await feeding;
  }
}

async function feed(source: AsyncIterable<Uint8Array>, into: ReturnType<typeof extract>): Promise<void> {
  for await (const chunk of source) {
    if (into.destroyed) return;
    await writeCopy(into, chunk);
  }
  into.end(undefined);
}

/** What `writeCopy` needs of a stream. */
interface Drained {
  write(chunk: Uint8Array): boolean;
  on(event: 'drain' | 'close', listener: () => void): Drained;
  off(event: 'drain' | 'close', listener: () => void): Drained;
}

/** Writes a copy, since the buffer may be used again, and waits until there is room for more, or the stream is gone. */
export async function writeCopy(into: Drained, chunk: Uint8Array): Promise<void> {
  if (into.write(Uint8Array.from(chunk))) return;
  await new Promise<void>((resolve) => {
    const goOn = (): void => {
      into.off('drain', goOn).off('close', goOn);
      resolve();
    };
    into.on('drain', goOn).on('close', goOn);
  });
}

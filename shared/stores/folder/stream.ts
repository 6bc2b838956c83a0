// Bytes into a file and out of it, with buffers in turn: some are on their way to or from the disk while another is worked on.
import type { FileHandle } from 'node:fs/promises';
import { guarded } from './files.ts';
import { blocks, cancellable } from '../source.ts';
import type { PutOptions } from '../store.ts';

/**
 * Small on purpose: for larger writes the file system takes its page cache in larger pieces, which are seldom warm. Measured on ext4 in a
 * virtual machine: writes of 128 KiB to 1 MiB cost three times the system time, a quarter of a whole backup's time.
 */
const WRITE_BYTES = 64 << 10;
/** So that no read waits for a thread that is busy with compression; few enough to stay in the processor's cache. */
const WRITES_AT_ONCE = 8;
/** Written bytes after which the disk is asked to take them. */
const SYNC_BYTES = 64 << 20;
const READ_BYTES = 1 << 20;

interface Filling extends Pick<PutOptions, 'signal' | 'onProgress'> {
  /** For messages. */
  what: string;
}

/**
 * Fills an empty file. Several buffers are being written while the next one is filled; what has been written is sent to the disk on the way,
 * so that the last sync is short.
 */
export async function fillFile(
  handle: FileHandle,
  source: AsyncIterable<Uint8Array>,
  { what, signal, onProgress }: Filling,
): Promise<void> {
  const buffers = Array.from({ length: WRITES_AT_ONCE }, () => Buffer.allocUnsafeSlow(WRITE_BYTES));
  const writing: Promise<void>[] = [];
  let next = 0;
  let given = 0;
  let unsynced = 0;
  let syncing: Promise<void> = Promise.resolve();
  try {
    for await (const block of blocks(cancellable(source, signal), () => buffers[next] as Buffer)) {
      const position = given;
      writing[next] = guarded(what, () => writeWhole(handle, block, position));
      // Awaited when its buffer's turn comes again; without a handler now, a failure in between would count as unhandled.
      writing[next]?.catch(() => undefined);
      given += block.length;
      unsynced += block.length;
      next = (next + 1) % WRITES_AT_ONCE;
      await writing[next];
      onProgress?.(Math.max(0, given - WRITES_AT_ONCE * WRITE_BYTES));
      if (unsynced >= SYNC_BYTES) {
        unsynced = 0;
        await syncing;
        syncing = guarded(what, () => handle.datasync());
        syncing.catch(() => undefined);
      }
    }
    await Promise.all([...writing, syncing]);
    onProgress?.(given);
  } finally {
    // The caller closes the file: nothing may still be writing to it.
    await Promise.allSettled([...writing, syncing]);
  }
}

interface Reading {
  from: number;
  length: number;
  /** Two buffers in turn instead of a fresh one for each piece. */
  reuse: boolean;
  /** For messages. */
  what: string;
}

/** Reads a part of a file; the next piece is on its way while one is being used. Ends early at the file's end. */
export async function* readFile(handle: FileHandle, { from, length, reuse, what }: Reading): AsyncGenerator<Buffer, void> {
  const size = Math.min(READ_BYTES, length);
  const own = reuse ? [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)] : [];
  const end = from + length;
  const ask = (at: number, turn: number): Promise<Buffer> => {
    const buffer = own[turn % 2] ?? Buffer.allocUnsafeSlow(Math.min(size, end - at));
    const reading = handle.read(buffer, 0, Math.min(size, end - at), at).then(({ bytesRead }) => buffer.subarray(0, bytesRead));
    // It may fail before it is awaited.
    reading.catch(() => undefined);
    return reading;
  };
  let next = ask(from, 0);
  try {
    for (let at = from, turn = 1; at < end; turn += 1) {
      const piece = await guarded(what, () => next);
      at += piece.length;
      if (piece.length === 0) return;
      if (at < end) next = ask(at, turn);
      yield piece;
    }
  } finally {
    // The caller closes the file: nothing may still be reading it.
    await next.catch(() => undefined);
  }
}

async function writeWhole(handle: FileHandle, block: Buffer, position: number): Promise<void> {
  for (let at = 0; at < block.length;) at += (await handle.write(block, at, block.length - at, position + at)).bytesWritten;
}

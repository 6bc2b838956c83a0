// What each kind of backup adds to the format: a verifier that reads the plain stream as it passes and reports what is in it.
import type { JsonValue } from './json.ts';

/**
 * Reads the plain bytes of one backup, in order, in pieces of any size. Runs while the backup is written, again when it is read back,
 * and again on restore; the three reports must be equal.
 */
export interface Inspector<R extends JsonValue = JsonValue> {
  /**
   * Takes the next bytes. Must not keep a reference to the buffer after it returns (or its promise resolves).
   * @throws VerificationError naming the place (namespace, byte offset) when the stream is not well-formed
   */
  write(chunk: Uint8Array): void | Promise<void>;
  /**
   * Called once after the last byte.
   * @param written the report of the manifest that the stream is held against: what the version that wrote it did not report is left out
   * @returns the report that goes into the manifest's `content`: counts, digests, names; plain JSON with a stable order
   * @throws VerificationError when the stream ended too early
   */
  end(written?: JsonValue): R | Promise<R>;
}

/** Makes a fresh inspector for one pass. */
export type NewInspector<R extends JsonValue = JsonValue> = () => Inspector<R>;

// The restore engine that runs the official mongorestore. It exits 0 with documents that failed, so its words are counted.
import { CancelledError, UserError } from '../step/errors.ts';
import { inTime, type ProcessEnd, type StreamingProcess } from '../tools/process.ts';
import { HANG_MS } from './dump-tools.ts';
import type { Renaming } from './namespaces.ts';
import { parseToolLine, toolFailure } from './tool-output.ts';
import type { ToolProgram } from './tool-program.ts';

export interface ToolRestoreOptions {
  program: ToolProgram;
  renames?: readonly Renaming[];
  /** Drop each collection before it is restored (`--drop`). */
  replace?: boolean;
  /** Replay the archive's oplog, for a point-in-time dump. */
  oplog?: boolean;
  /** Let mongorestore build the indexes too. Default: no, the caller does it and sees each failure. */
  indexes?: boolean;
  signal?: AbortSignal;
  hangMs?: number;
  onProgress?: (done: { documents: number; bytes: number; namespace: string }) => void;
  log?: (line: string) => void;
}

/** What mongorestore says it did. */
export interface ToolRestoreResult {
  documents: number;
  failed: number;
  /** By the name in the target. */
  namespaces: { namespace: string; documents: number; failures: number }[];
}

/** mongorestore's arguments but for where to connect. Never holds a secret. */
export function restoreArguments(options: Pick<ToolRestoreOptions, 'renames' | 'replace' | 'oplog' | 'indexes'>): string[] {
  return [
    '--archive',
    ...(options.replace ? ['--drop'] : []),
    ...(options.oplog ? ['--oplogReplay'] : []),
    ...(options.indexes ? [] : ['--noIndexRestore']),
    ...inTheirOrder(options.renames ?? []).flatMap(({ from, to }) => [`--nsFrom=${nsName(from)}`, `--nsTo=${nsName(to)}`]),
  ];
}

/** Of several patterns that fit, mongorestore takes the last one: a collection's own renaming must come after that of its database. */
function inTheirOrder(renames: readonly Renaming[]): Renaming[] {
  const isOfCollection = ({ from }: Renaming): number => Number(from.collection !== undefined);
  return renames.toSorted((a, b) => isOfCollection(a) - isOfCollection(b));
}

/** A database alone means all its collections. */
function nsName({ db, collection }: { db: string; collection?: string }): string {
  const escape = (text: string): string => text.replace(/[\\*]/g, '\\$&');
  return collection === undefined ? `${escape(db)}.*` : `${escape(db)}.${escape(collection)}`;
}

/**
 * Feeds an archive to mongorestore.
 * @throws UserError when it fails, hangs, or says nothing about what it restored. Failed documents are in the result, not thrown.
 */
export async function restoreWithTools(archive: AsyncIterable<Uint8Array>, options: ToolRestoreOptions): Promise<ToolRestoreResult> {
  const { program, signal, hangMs = HANG_MS } = options;
  const watch = new RestoreWatch(options);
  const child = await program.start(restoreArguments(options), {
    ...(signal ? { signal } : {}),
    onLine: (line) => {
      watch.line(line);
    },
  });
  try {
    child.stdout.resume();
    await feed(archive, child, watch, { what: program.label, hangMs });
    return watch.judge(await untilEnded(child, watch, { what: program.label, hangMs }));
  } finally {
    await child.stop();
    await child.release();
  }
}

/** Whose silence lasts too long, and when. */
interface Patience {
  what: string;
  hangMs: number;
}

async function feed(
  archive: AsyncIterable<Uint8Array>,
  child: StreamingProcess,
  watch: RestoreWatch,
  { what, hangMs }: Patience,
): Promise<void> {
  for await (const chunk of archive) {
    if (child.stdin.destroyed || child.stdin.writableEnded) return;
    watch.bytes += chunk.length;
    // Waits until the bytes are out of our hands: the caller may use its buffer again.
    const written = new Promise<void>((resolve) => {
      child.stdin.write(chunk, () => {
        resolve();
      });
    });
    await inTime(Promise.race([written, child.ended]), hangMs, what);
  }
  child.stdin.end();
}

/** After the last byte there may be long work without input, but never long silence. */
async function untilEnded(child: StreamingProcess, watch: RestoreWatch, { what, hangMs }: Patience): Promise<ProcessEnd> {
  for (;;) {
    const seen = watch.lines;
    try {
      return await inTime(child.ended, hangMs, what);
    } catch (thrown) {
      if (thrown instanceof CancelledError || watch.lines === seen) throw thrown;
    }
  }
}

/** Keeps what mongorestore says, and decides at its end what that amounts to. */
class RestoreWatch {
  readonly #options: ToolRestoreOptions;
  readonly #namespaces: ToolRestoreResult['namespaces'] = [];
  #summary: { documents: number; failures: number } | undefined;
  #failed: string | undefined;
  #last: string | undefined;
  lines = 0;
  bytes = 0;

  constructor(options: ToolRestoreOptions) {
    this.#options = options;
  }

  line(line: string): void {
    this.lines += 1;
    const parsed = parseToolLine(this.#options.program.redact(line));
    if (parsed.kind === 'restored')
      this.#namespaces.push({ namespace: parsed.namespace, documents: parsed.documents, failures: parsed.failures });
    if (parsed.kind === 'summary') this.#summary = parsed;
    if (parsed.kind === 'failed') this.#failed = parsed.text;
    if (parsed.kind === 'other') this.#last = parsed.text;
    if (parsed.kind === 'restored' || parsed.kind === 'progress') {
      const documents = this.#namespaces.reduce((sum, namespace) => sum + namespace.documents, 0);
      this.#options.onProgress?.({ documents, bytes: this.bytes, namespace: parsed.namespace });
    } else if ('text' in parsed) this.#options.log?.(parsed.text);
  }

  judge({ code, signal }: ProcessEnd): ToolRestoreResult {
    const { program } = this.#options;
    const words = this.#failed ?? this.#last;
    if (code !== 0)
      throw toolFailure(program, signal === null ? `ended with exit code ${code ?? '?'}` : `was killed by ${signal}`, words, code);
    if (this.#failed !== undefined) throw toolFailure(program, 'reported a failure although its exit code is 0', this.#failed);
    if (!this.#summary)
      throw new UserError('mongorestore ended without saying how many documents it restored.', {
        fix: 'Use mongorestore 100.0 or newer, or engine: driver.',
      });
    return { documents: this.#summary.documents, failed: this.#summary.failures, namespaces: this.#namespaces };
  }
}

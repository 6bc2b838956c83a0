// The dump engine that runs the official mongodump and passes its archive on, trusting neither its exit code nor its silence.
import { UsageError, UserError } from '../step/errors.ts';
import { withDeadline } from '../tools/process.ts';
import type { Selection } from './namespaces.ts';
import { parseToolLine, toolFailure } from './tool-output.ts';
import type { ToolProgram } from './tool-program.ts';

/** No byte for this long while we wait for one means that mongodump hangs. */
export const HANG_MS = 10 * 60_000;

export interface ToolDumpOptions extends Selection {
  program: ToolProgram;
  /** Add the oplog of the time the dump took: point-in-time. Replica sets and full dumps only. */
  oplog: boolean;
  signal?: AbortSignal;
  hangMs?: number;
  onProgress?: (done: { documents: number; bytes: number; namespace: string }) => void;
  log?: (line: string) => void;
}

/**
 * mongodump's arguments for a selection; undefined when it has none for it (it takes one database, one collection, or one database
 * without some collections).
 */
export function selectionArguments({ include = [], exclude = [] }: Selection): string[] | undefined {
  if ([...include, ...exclude].some((name) => name.includes('*'))) return undefined;
  if (include.length === 0 && exclude.length === 0) return [];
  const [only] = include;
  if (only === undefined || include.length > 1) return undefined;
  const dot = only.indexOf('.');
  if (dot > 0) return exclude.length > 0 ? undefined : [`--db=${only.slice(0, dot)}`, `--collection=${only.slice(dot + 1)}`];
  if (exclude.some((name) => !name.startsWith(`${only}.`))) return undefined;
  return [`--db=${only}`, ...exclude.map((name) => `--excludeCollection=${name.slice(only.length + 1)}`)];
}

/**
 * mongodump's arguments but for where to connect. Never holds a secret.
 * @throws UsageError when mongodump cannot express the selection
 */
export function dumpArguments(options: Selection & { oplog: boolean }): string[] {
  const selection = selectionArguments(options);
  if (!selection) {
    throw new UsageError('mongodump cannot select several databases, or collections by wildcard, in one run.', {
      fix: 'Use engine: driver (or auto), or one database per backup.',
    });
  }
  return ['--archive', ...(options.oplog ? ['--oplog'] : []), ...selection];
}

/**
 * The archive as mongodump writes it.
 * @throws UserError when mongodump fails, hangs, or finds nothing of the name (which it calls a success)
 */
export async function* dumpWithTools(options: ToolDumpOptions): AsyncGenerator<Uint8Array> {
  const { program, signal, hangMs = HANG_MS } = options;
  const watch = new DumpWatch(options);
  let bytes = 0;
  const child = await program.start(dumpArguments(options), {
    ...(signal ? { signal } : {}),
    onLine: (line) => {
      watch.line(line, bytes);
    },
  });
  try {
    child.stdin.end();
    for await (const chunk of withDeadline(child.stdout as AsyncIterable<Uint8Array>, hangMs, program.label)) {
      bytes += chunk.length;
      yield chunk;
    }
    const end = await child.ended;
    watch.judge(end.code, end.signal, bytes);
  } catch (thrown) {
    // The exit of a child that could not even start tells more than its broken stream.
    if (!(thrown instanceof UserError)) await child.ended;
    throw thrown;
  } finally {
    await child.stop();
    await child.release();
  }
}

/** Keeps what mongodump says, and decides at its end whether that was a success. */
class DumpWatch {
  readonly #options: ToolDumpOptions;
  #failed: string | undefined;
  #missing: string | undefined;
  #last: string | undefined;
  #documents = 0;

  constructor(options: ToolDumpOptions) {
    this.#options = options;
  }

  line(line: string, bytes: number): void {
    const parsed = parseToolLine(this.#options.program.redact(line));
    if (parsed.kind === 'failed') this.#failed = parsed.text;
    if (parsed.kind === 'missing') this.#missing = parsed.text;
    if (parsed.kind === 'other') this.#last = parsed.text;
    if (parsed.kind === 'dumped') this.#documents += parsed.documents;
    if (parsed.kind === 'dumped' || parsed.kind === 'progress') {
      this.#options.onProgress?.({ documents: this.#documents, bytes, namespace: parsed.namespace });
    } else if ('text' in parsed) this.#options.log?.(parsed.text);
  }

  judge(code: number | null, signal: string | null, bytes: number): void {
    const { program } = this.#options;
    const words = this.#failed ?? this.#last;
    if (code !== 0)
      throw toolFailure(program, signal === null ? `ended with exit code ${code ?? '?'}` : `was killed by ${signal}`, words, code);
    if (this.#failed !== undefined) throw toolFailure(program, 'reported a failure although its exit code is 0', this.#failed);
    if (this.#missing !== undefined) {
      throw new UserError(`There is nothing of that name to back up: mongodump says "${this.#missing}".`, {
        fix: 'Check the spelling in include (names are case-sensitive), and that the login may read it.',
      });
    }
    if (bytes === 0) throw toolFailure(program, 'ended well but wrote no archive', words, code);
  }
}

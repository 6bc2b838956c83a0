// How jobs ended, in the words of GitHub Actions, Azure Pipelines and Lifeboat, put into ours.
import { UsageError, type Outcome } from '../step/errors.ts';

const WORDS: ReadonlyMap<string, Outcome> = new Map([
  ['success', 'succeeded'],
  ['succeeded', 'succeeded'],
  ['succeededwithissues', 'partial'],
  ['partial', 'partial'],
  ['failure', 'failed'],
  ['failed', 'failed'],
  ['abandoned', 'failed'],
  ['timed_out', 'failed'],
  ['cancelled', 'cancelled'],
  ['canceled', 'cancelled'],
  ['refused', 'refused'],
]);

/** Words for a job that did not run because nothing asked it to. */
const NOT_RUN = new Set(['skipped', 'neutral', '']);

/** The worst first. */
const WORST: readonly Outcome[] = ['failed', 'partial', 'cancelled', 'refused', 'succeeded'];

export interface JobResult {
  job: string;
  /** The CI system's own word. */
  word: string;
  /** Undefined for a job that did not run. */
  outcome: Outcome | undefined;
}

/** @throws UsageError naming the words that are known */
export function readOutcome(word: string): Outcome {
  const outcome = WORDS.get(word.trim().toLowerCase());
  if (outcome !== undefined) return outcome;
  throw new UsageError(`${JSON.stringify(word)} is not a way to end.`, { fix: 'Use succeeded, partial, failed, cancelled or refused.' });
}

/**
 * Reads `toJSON(needs)`, `convertToJson(stageDependencies)` or `job=result, job=result`.
 * A job that succeeded by the CI system's word, but whose output `outcome` says partial, is partial.
 * @throws UsageError
 */
export function readResults(text: string): JobResult[] {
  const jobs = /^\s*\{/.test(text) ? [...fromJson(parse(text), [])] : fromPairs(text);
  if (jobs.length === 0) throw new UsageError('There is no result in what was given.', { fix: 'Use toJSON(needs), or job=result.' });
  return jobs;
}

/** The worst outcome of those that ran; `cancelled` when none did. */
export function worstOf(jobs: readonly JobResult[]): Outcome {
  return WORST.find((outcome) => jobs.some((job) => job.outcome === outcome)) ?? 'cancelled';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError('The results look like JSON, but are not.', { fix: 'On GitHub write: results: ${{ toJSON(needs) }}', cause });
  }
}

function* fromJson(value: unknown, path: readonly string[]): Generator<JobResult> {
  if (typeof value === 'string') yield jobResult(path.join('.'), value);
  if (typeof value !== 'object' || value === null) return;
  const { result, outputs } = value as { result?: unknown; outputs?: { outcome?: unknown } | null };
  if (typeof result === 'string' && path.length > 0) {
    const own = typeof outputs?.outcome === 'string' ? WORDS.get(outputs.outcome) : undefined;
    const job = jobResult(path.join('.'), result);
    yield job.outcome === 'succeeded' && own === 'partial' ? { ...job, word: 'partial', outcome: 'partial' } : job;
    return;
  }
  for (const [name, inner] of Object.entries(value)) yield* fromJson(inner, [...path, name]);
}

function fromPairs(text: string): JobResult[] {
  return text
    .split(/[\n,]/)
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [, job, word] = /^([^=]+?)\s*[=:]\s*(.*)$/.exec(pair) ?? [];
      if (job === undefined || word === undefined)
        throw new UsageError(`${JSON.stringify(pair)} is not job=result.`, { fix: 'Write backup=success, validate=failure.' });
      return jobResult(job, word);
    });
}

function jobResult(job: string, word: string): JobResult {
  return { job, word: word === '' ? 'not run' : word, outcome: NOT_RUN.has(word.toLowerCase()) ? undefined : readOutcome(word) };
}

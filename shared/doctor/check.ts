// Runs the checks of `doctor` side by side, each with a time-out.
import { findingOf, type Check, type Finding } from '../backup/finding.ts';
import { CancelledError } from '../step/errors.ts';
import { formatSeconds } from '../step/format.ts';

export interface CheckResult extends Finding {
  name: string;
  seconds: number;
}

export interface RunChecksOptions {
  /** Milliseconds that one check may take. */
  timeout: number;
  signal: AbortSignal;
  monotonic: () => number;
}

/** Runs all checks side by side; the results stand in the order of the checks. @throws CancelledError */
export async function runChecks(checks: readonly Check[], options: RunChecksOptions): Promise<CheckResult[]> {
  const results = await Promise.all(checks.map((check) => runCheck(check, options)));
  if (options.signal.aborted) throw new CancelledError();
  return results;
}

async function runCheck(check: Check, { timeout, signal, monotonic }: RunChecksOptions): Promise<CheckResult> {
  const started = monotonic();
  const deadline = AbortSignal.timeout(timeout);
  const finding = await Promise.race([
    check.look(AbortSignal.any([signal, deadline])).catch((thrown: unknown) => failedFinding(thrown, deadline, timeout)),
    // A library that does not hear the signal must not keep the others waiting.
    ended(deadline, timeout),
  ]);
  return { name: check.name, ...finding, seconds: Number(((monotonic() - started) / 1000).toFixed(2)) };
}

/** Time for a check to clean up after its deadline, milliseconds. */
const CLEAN_UP_MS = 5_000;

async function ended(deadline: AbortSignal, timeout: number): Promise<Finding> {
  return new Promise((resolve) => {
    deadline.addEventListener('abort', () => {
      setTimeout(() => {
        resolve(tooSlow(timeout));
      }, CLEAN_UP_MS).unref();
    });
  });
}

function failedFinding(thrown: unknown, deadline: AbortSignal, timeout: number): Finding {
  return deadline.aborted ? tooSlow(timeout) : findingOf(thrown);
}

function tooSlow(timeout: number): Finding {
  return {
    status: 'failed',
    seen: `No answer within ${formatSeconds(timeout / 1000)}.`,
    fix: 'Check that no firewall drops the requests of this machine; the input timeout allows more time.',
  };
}

/** True when a service answered 401 or 403 somewhere below what was thrown. */
export function isForbidden(thrown: unknown): boolean {
  const seen = new Set<unknown>();
  for (let error = thrown; typeof error === 'object' && error !== null && !seen.has(error); error = (error as { cause?: unknown }).cause) {
    seen.add(error);
    const { statusCode } = error as { statusCode?: unknown };
    if (statusCode === 401 || statusCode === 403) return true;
  }
  return false;
}

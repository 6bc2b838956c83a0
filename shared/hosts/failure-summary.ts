// The job summary of a run that did not succeed: what happened and what to do, where people look first.
import { EXIT_CODES } from '../step/errors.ts';
import type { Finish } from '../step/host.ts';
import { prose } from '../step/prose.ts';

/** Markdown; '' when nothing went wrong, and for a cancel: whoever cancelled knows. */
export function failureSummary({ outcome, exitCode, error }: Finish): string {
  if (!error || outcome === 'cancelled') return '';
  const what = exitCode === EXIT_CODES.verification ? 'failed verification' : outcome;
  const quoted = error.message
    .split('\n')
    .map((line) => `> ${prose(line)}`)
    .join('\n');
  return (
    [`### Lifeboat: ${what} (exit code ${exitCode})`, quoted, prose(error.fix ?? '')].filter((part) => part !== '').join('\n\n') + '\n'
  );
}

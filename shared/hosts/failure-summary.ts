// The job summary of a run that did not succeed: what happened and what to do, where people look first.
import { EXIT_CODES } from '../step/errors.ts';
import type { Finish } from '../step/host.ts';

/** `https://<account>…` would be taken for HTML, and vanish. */
function asText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/** Markdown; '' when nothing went wrong, and for a cancel: whoever cancelled knows. */
export function failureSummary({ outcome, exitCode, error }: Finish): string {
  if (!error || outcome === 'cancelled') return '';
  const what = exitCode === EXIT_CODES.verification ? 'failed verification' : outcome;
  const quoted = error.message
    .split('\n')
    .map((line) => `> ${asText(line)}`)
    .join('\n');
  return (
    [`### Lifeboat: ${what} (exit code ${exitCode})`, quoted, asText(error.fix ?? '')].filter((part) => part !== '').join('\n\n') + '\n'
  );
}

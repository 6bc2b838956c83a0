// The job summary of a run that did not succeed: what happened and what to do, where people look first.
import { EXIT_CODES } from '../step/errors.ts';
import type { Finish } from '../step/host.ts';
import { prose } from '../step/prose.ts';

/**
 * Markdown; '' when nothing went wrong, for a cancel (the person who cancelled knows), and when the step has said it all.
 * @param shown what the step has put into the summary by itself: nothing is said twice
 */
export function failureSummary({ outcome, exitCode, error, subject = 'Lifeboat', help = {} }: Finish, shown = ''): string {
  if (!error || outcome === 'cancelled') return '';
  const said = plain(shown);
  const isNew = (line: string): boolean => {
    const bare = plain(line).replace(/^- /, '');
    if (said.includes(bare)) return false;
    // `- name: what was found` may stand in two cells of a table.
    const [, name = '', found = ''] = (line.startsWith('- ') && /^([^:]+): (.+)$/s.exec(bare)) || [];
    return found === '' || !said.includes(name) || !said.includes(found);
  };
  const lines = error.message.split('\n');
  const fresh = lines.filter((line) => isNew(line) && !(lines.length > 1 && line.endsWith(':')));
  const message = fresh.length === 0 ? [] : lines;
  const { next, lastGoodBackup } = help;
  const parts = [
    message.map((line) => `> ${prose(line)}`).join('\n'),
    error.fix !== undefined && !error.fix.startsWith(SUMMARY_SAYS) && isNew(error.fix.replace(/^Run next: /, '')) ? prose(error.fix) : '',
    lastGoodBackup === undefined ? '' : `**Last good backup**: ${prose(lastGoodBackup ?? 'none')}`,
    next !== undefined && isNew(next) ? `Run next\n\n\`\`\`\n${next}\n\`\`\`` : '',
  ].filter((part) => part !== '');
  if (parts.length === 0) return '';
  const what =
    exitCode === EXIT_CODES.verification ? 'failed: data is not what it should be' : outcome === 'refused' ? 'was refused' : 'failed';
  const heading = said === '' ? [`### \u274c ${prose(subject)} ${what} (exit code ${exitCode})`] : [];
  return `${[...heading, ...parts].join('\n\n')}\n`;
}

/** How a fix begins that points at the page it would be written to. */
const SUMMARY_SAYS = 'The summary says';

/** Without what Markdown and tables add. */
function plain(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&amp;', '&').replaceAll('\\|', '|').replaceAll('\u00a0', ' ');
}

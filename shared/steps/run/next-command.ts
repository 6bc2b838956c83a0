// The command line that a message tells its reader to run next.
import type { StepContext } from '../../step/define.ts';
import type { Outcome } from '../../step/errors.ts';
import type { targetInputs } from '../inputs.ts';

interface About {
  component: string | undefined;
  /** The backup that the run made or tried to make. */
  backup?: string | undefined;
  outcome: Outcome;
}

/** A command line, secrets left to the environment; undefined when nothing needs to be done. */
export function nextCommand(
  { step, inputs }: StepContext<Pick<typeof targetInputs, 'config'>>,
  { component, backup, outcome }: About,
): string | undefined {
  if (outcome === 'succeeded') return undefined;
  const { config } = inputs;
  const line = (command: string, ...args: string[]): string =>
    [
      'lifeboat',
      command,
      ...(config === undefined ? [] : ['--config', config]),
      ...(component === undefined ? [] : ['--component', component]),
      ...args,
    ]
      .map(quoted)
      .join(' ');
  if (step === 'backup-validation' && outcome === 'failed') return line('list-backups', '--days', '7');
  if (step.endsWith('-restore')) return line(step, '--dry-run');
  if (outcome === 'partial' && backup !== undefined) return line('backup-validation', '--timestamp', backup);
  return line(step);
}

/** A word as a POSIX shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

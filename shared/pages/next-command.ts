// The command line that a message tells its reader to run next.
import { sessionOf } from '../session/session.ts';
import type { StepContext } from '../step/define.ts';
import type { Outcome } from '../step/errors.ts';
import { kebabCase, Secret } from '../step/input.ts';
import { shellLine } from '../step/shell.ts';

interface About {
  component: string | undefined;
  /** The backup that the run made or tried to make. */
  backup?: string | undefined;
  outcome: Outcome;
}

/** Where backups and their keys are: what every step that reads backups takes. */
const PLACES = ['config', 'name', 'store'];
const KEYS = ['vault', 'recipients', 'openWith', 'escrowKey'];
/** Belongs to the one run, or to the machine that it ran on. */
const NOT_AGAIN = new Set(['component', 'confirm', 'reason', 'dryRun', 'due', 'storePatience', 'limitRate', 'lockWait']);

/** A command line that can be pasted as it is, secrets left to the environment; undefined when nothing needs to be done. */
export function nextCommand(context: StepContext, { component, backup, outcome }: About): string | undefined {
  if (outcome === 'succeeded') return undefined;
  const { step } = context;
  const line = (command: string, names: readonly string[], ...args: string[]): string =>
    shellLine([
      'lifeboat',
      command,
      ...givenWords(context, ['config']),
      ...(component === undefined ? [] : ['--component', component]),
      ...givenWords(
        context,
        names.filter((name) => name !== 'config'),
      ),
      ...args,
    ]);
  if ((step === 'backup-validation' || step === 'verify') && outcome === 'failed') return line('list-backups', PLACES, '--days', '7');
  if (outcome === 'partial' && backup !== undefined)
    return line('backup-validation', [...PLACES, ...KEYS.filter((name) => name !== 'recipients')], '--timestamp', backup);
  // A new backup gets a timestamp of its own.
  const again = Object.keys(context.inputs).filter(
    (name) => !NOT_AGAIN.has(name) && !name.startsWith('azure') && !(backup !== undefined && name === 'timestamp'),
  );
  return line(step, again, ...(restores(context) ? ['--dry-run'] : []));
}

/** True for the step that restores a kind: it is recommended as a plan. */
function restores(context: StepContext): boolean {
  return sessionOf(context).kinds.all.some(({ steps }) => steps.restore?.name === context.step);
}

/** The options that repeat what was given for these inputs, but no secret. */
export function givenWords(context: StepContext, names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const text = context.origin(name) === 'input' ? context.host.rawInput(name) : undefined;
    const value = context.inputs[name];
    if (text === undefined || text === '' || value instanceof Secret) return [];
    if (typeof value === 'boolean') return [`--${value ? '' : 'no-'}${kebabCase(name)}`];
    const shown = Array.isArray(value) ? value.join(',') : text;
    return [`--${kebabCase(name)}`, shownAddress(shown)];
  });
}

/** An address without its query, which may be a shared access signature. */
export function shownAddress(text: string): string {
  return /^[a-z][a-z0-9+.-]*:/i.test(text) ? (text.split('?')[0] as string) : text;
}

/**
 * A command that a finding recommends, with what this call was told about where things are.
 * @returns undefined where there is no dr.yml: the vault and the database are then unknown, and the command would not work
 */
export function completed(context: StepContext, command: string | undefined, hasDrFile: boolean): string | undefined {
  if (command === undefined || !hasDrFile) return undefined;
  const missing = PLACES.filter((name) => !command.includes(`--${name} `));
  return [command, shellLine(givenWords(context, missing))].filter((part) => part !== '').join(' ');
}

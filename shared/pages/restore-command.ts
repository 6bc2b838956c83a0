// The command line that restores a backup, for pages and messages.
import type { AnyKind } from '../kinds/registry.ts';
import type { StepContext } from '../step/define.ts';
import { shellLine } from '../step/shell.ts';
import type { keyInputs, storeInputs, targetInputs } from '../session/inputs.ts';
import { givenWords, shownAddress } from './next-command.ts';

type CommandInputs = Pick<typeof targetInputs, 'config'> & Pick<typeof storeInputs, 'store'> & Pick<typeof keyInputs, 'vault'>;

/** The step that restores a kind; undefined when nothing does. */
export function restoreStepOf({ steps, address }: AnyKind): RestoreStep | undefined {
  return steps.restore && { step: steps.restore.name, address };
}

interface RestoreStep {
  step: string;
  /** Inputs that the command repeats. */
  address?: readonly string[] | undefined;
}

interface RestoreWords {
  timestamp?: string;
  component: string;
  name: string;
  rollback?: boolean;
  /** Where the backup lies, when that is not the store of the call. */
  store?: string | undefined;
}

/** The command line that restores a backup, as a person would type it; secrets come from the environment. */
export function restoreCommand(
  context: StepContext<CommandInputs>,
  { step, address = [] }: RestoreStep,
  { timestamp, component, name, rollback, store }: RestoreWords,
): string {
  const { inputs } = context;
  const place =
    context.origin('store') === 'dr.yml'
      ? [...(inputs.config === undefined ? [] : ['--config', inputs.config]), '--component', component]
      : [
          '--store',
          shownAddress(store ?? inputs.store),
          ...(inputs.vault === undefined ? [] : ['--vault', inputs.vault]),
          '--name',
          name,
          '--component',
          component,
        ];
  const what = rollback ? ['--rollback', '--replace'] : ['--timestamp', timestamp ?? ''];
  return shellLine(['lifeboat', step, ...place, ...givenWords(context, address), ...what, '--confirm', name]);
}

// Texts that the MongoDB steps share.
import type { ArchiveReport } from '../../mongodb/archive-inspector.ts';
import type { StepContext } from '../../step/define.ts';
import { formatBytes, formatCount } from '../../step/format.ts';
import { printable } from '../../step/prose.ts';
import { shellLine } from '../../step/shell.ts';
import type { keyInputs, kubernetesInputs, storeInputs, targetInputs } from '../inputs.ts';
import { givenWords, withoutQuery } from './next-command.ts';

/** More collections than this are summed up in a summary. */
const MOST_ROWS = 50;

/** Rows of a report's collections, the largest first. */
export function collectionRows(report: ArchiveReport): string[][] {
  const sorted = report.namespaces.toSorted((a, b) => b.bytes - a.bytes);
  const rows = sorted
    .slice(0, MOST_ROWS)
    .map(({ db, collection, documents, bytes, indexes }) => [
      printable(`${db}.${collection}`),
      formatCount(documents),
      formatBytes(bytes),
      String(indexes.length),
    ]);
  const rest = sorted.slice(MOST_ROWS);
  if (rest.length === 0) return rows;
  const documents = rest.reduce((sum, one) => sum + one.documents, 0);
  const bytes = rest.reduce((sum, one) => sum + one.bytes, 0);
  return [...rows, [`and ${rest.length} more`, formatCount(documents), formatBytes(bytes), '']];
}

type CommandInputs = Pick<typeof targetInputs, 'config'> &
  Pick<typeof storeInputs, 'store'> &
  Pick<typeof keyInputs, 'vault'> &
  Partial<typeof kubernetesInputs>;

interface RestoreWords {
  timestamp?: string;
  component: string;
  name: string;
  rollback?: boolean;
  /** Where the backup lies, when that is not the store of the call. */
  store?: string | undefined;
}

/** The command line that restores a backup, as a person would type it; secrets come from the environment. */
export function restoreCommand(context: StepContext<CommandInputs>, { timestamp, component, name, rollback, store }: RestoreWords): string {
  const { inputs } = context;
  const place =
    context.origin('store') === 'dr.yml'
      ? [...(inputs.config === undefined ? [] : ['--config', inputs.config]), '--component', component]
      : [
          '--store',
          withoutQuery(store ?? inputs.store),
          ...(inputs.vault === undefined ? [] : ['--vault', inputs.vault]),
          '--name',
          name,
          '--component',
          component,
        ];
  const what = rollback ? ['--rollback', '--replace'] : ['--timestamp', timestamp ?? ''];
  return shellLine(['lifeboat', 'mongodb-restore', ...place, ...podWords(context), ...what, '--confirm', name]);
}

/** Which pod, as far as it was said by inputs: it is no secret, unlike a connection string. */
function podWords(context: StepContext<CommandInputs>): string[] {
  return givenWords(context, ['kubernetesContext', 'kubernetesNamespace', 'kubernetesSelector', 'kubernetesPod', 'kubernetesContainer']);
}

// What Lifeboat does with the state of a cluster: export it, restore it, compare it, look at it. The heavy half of its kind.
import { typeName } from '../kubernetes/resources.ts';
import type { Compared, Differences, KindWork, ReadPlain } from '../backup/kind.ts';
import type { StepContext } from '../step/define.ts';
import { listed, plural } from '../step/format.ts';
import { pairsOf } from './changes.ts';
import { stateChecks } from './checks.ts';
import type { restoreInputs, stateInputs } from './inputs.ts';
import { newStateInspector, type StateReport } from './inspector.ts';
import { compareState } from './restore.ts';
import { Selector } from './selection.ts';
import { fingerprintOf, openStateSource } from './source.ts';
import { openStateCluster, openStateTarget, selectionOf } from './target.ts';
import { detailsTable, rowOf } from './texts.ts';
import { differencesBetween } from './state-differences.ts';
import { Throttle } from './throttle.ts';
import { ServedTypes } from './types.ts';

export type StateWork = KindWork<typeof stateInputs, typeof restoreInputs, StateReport>;

export const work: StateWork = {
  newInspector: newStateInspector,
  selection: ({ inputs: { includeNamespaces, excludeNamespaces, includeKinds, excludeKinds } }) => ({
    ...{ includeNamespaces, excludeNamespaces, includeKinds, excludeKinds },
  }),
  openSource: async (context) => {
    const { includeNamespaces, excludeNamespaces, includeKinds, excludeKinds } = context.inputs;
    const onProgress = context.host.progress.bind(context.host);
    return openStateSource(await openStateCluster(context), {
      selection: { includeNamespaces, excludeNamespaces, includeKinds, excludeKinds },
      onProgress,
    });
  },
  openTarget: openStateTarget,
  compare,
  differences,
  checks: stateChecks,
  doubts: doubtsOf,
  count: ({ objects, types }) => ({ unit: 'objects', units: objects, groups: types.length, group: 'kind' }),
  names: ({ names = [] }) => names,
  details: detailsTable,
};

async function compare(
  context: StepContext<typeof stateInputs & typeof restoreInputs>,
  report: StateReport,
  read: ReadPlain,
): Promise<Compared> {
  const throttle = new Throttle();
  const cluster = await openStateCluster(context, throttle);
  try {
    const survey = {
      ...{ cluster, throttle, served: new ServedTypes(cluster), selector: new Selector(selectionOf(context)) },
      changes: { namespaces: pairsOf(context.inputs.namespace), storageClasses: new Map<string, string>(), scaleToZero: false },
    };
    const onProgress = context.host.progress.bind(context.host);
    const rows = await compareState(survey, read(), { total: report.objects, onProgress });
    const found = rows.reduce((sum, { equal }) => sum + equal, 0);
    const expected = rows.reduce((sum, row) => sum + row.expected, 0);
    return { fingerprint: await fingerprintOf(cluster), rows: rows.map(rowOf), found, totals: { expected, found } };
  } finally {
    cluster.close();
  }
}

/** What is living is read as it would be backed up. */
async function differences(context: StepContext<typeof stateInputs>, older: ReadPlain, newer: ReadPlain | undefined): Promise<Differences> {
  const selection = selectionOf(context);
  const selector = new Selector(selection);
  if (newer !== undefined) return differencesBetween(older, newer, selector);
  const source = await openStateSource(await openStateCluster(context), { selection });
  try {
    return await differencesBetween(older, () => source.bytes, selector);
  } finally {
    await source.close();
  }
}

/** What was not read, and what is suddenly much less. */
function doubtsOf(report: StateReport, previous: StateReport | undefined, { maxShrinkPercent }: { maxShrinkPercent: number }): string[] {
  const doubts = report.unread.map(({ what, why }) => `${what} could not be read: ${why}`);
  if (report.objects === 0) doubts.push('There is no object in it.');
  if (previous === undefined) return doubts;
  const shrunk = (before: number, now: number): boolean => before > 0 && now < before * (1 - maxShrinkPercent / 100);
  if (shrunk(previous.objects, report.objects))
    doubts.push(`It has ${plural(report.objects, 'object')}, and the last verified backup ${previous.objects}.`);
  // Few objects of a kind come and go.
  const lost = previous.types.filter((type) => {
    const now = report.types.find((one) => typeName(one) === typeName(type))?.objects ?? 0;
    return type.objects >= FEW && shrunk(type.objects, now);
  });
  if (lost.length > 0) doubts.push(`Much less than in the last verified backup: ${listed(lost.map(typeName))}.`);
  return doubts;
}

const FEW = 10;

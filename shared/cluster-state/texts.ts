// What plans and pages say of the state of a cluster.
import { typeName } from '../kubernetes/resources.ts';
import type { Fact, Row, Table } from '../backup/kind.ts';
import { formatBytes, formatCount, plural } from '../step/format.ts';
import { printable } from '../step/prose.ts';
import type { Changes } from './changes.ts';
import { differenceText } from './difference.ts';
import type { StateReport, TypeReport } from './inspector.ts';
import type { StatePlan, TypeRow } from './restore.ts';

/** More types than this are summed up. */
const MOST_ROWS = 60;
/** Objects that are named one by one in a plan. */
const NAMED = 20;
/** Differences of one object that a plan shows. */
const SHOWN = 6;

/** The folded table of a backup's page: kinds, the largest first; then Helm's releases and certificates. */
export function detailsTable(report: StateReport): Table {
  const sorted = report.types.toSorted((a, b) => b.objects - a.objects);
  const rows = sorted
    .slice(0, MOST_ROWS)
    .map((type) => [printable(typeName(type)), formatCount(type.objects), namespacesText(type), formatBytes(bytesOf(type))]);
  const rest = sorted.slice(MOST_ROWS);
  if (rest.length > 0) {
    const objects = rest.reduce((sum, one) => sum + one.objects, 0);
    rows.push([`and ${rest.length} more`, formatCount(objects), '', formatBytes(rest.reduce((sum, one) => sum + bytesOf(one), 0))]);
  }
  for (const { namespace, release, chart, version, appVersion, revision } of report.helm.slice(0, MOST_ROWS))
    rows.push([
      `Helm release ${printable(release)}`,
      `revision ${revision}`,
      printable(namespace),
      printable(`${chart} ${version} (${appVersion})`),
    ]);
  for (const { kind, namespace, name, subject, expires } of report.certificates.slice(0, MOST_ROWS))
    rows.push([
      `${kind} ${printable(name)}`,
      'certificate',
      printable(namespace),
      printable(`${subject} expires ${expires ?? 'at an unknown time'}`),
    ]);
  return { title: 'Kinds, releases and certificates', head: ['what', 'objects', 'namespaces', 'size or version'], rows };
}

function namespacesText({ namespaced, namespaces }: TypeReport): string {
  return namespaced ? formatCount(namespaces.length) : '';
}

function bytesOf({ namespaces }: TypeReport): number {
  return namespaces.reduce((sum, one) => sum + one.bytes, 0);
}

/** Lines of a plan: what is made, changed, left, and under which names. */
export function planFacts(plan: StatePlan, changes: Changes): Fact[] {
  const { created, changed, equal, skipped } = plan;
  const names = [...changes.namespaces].map(([from, to]) => `${from} → ${to}`);
  const classes = [...changes.storageClasses].map(([from, to]) => `${from} → ${to}`);
  return [
    ['Restores', `${plural(created, 'object')} made, ${formatCount(changed)} changed, ${formatCount(equal)} equal already`],
    ...skipped.map(({ why, objects, example }): Fact => [
      'Skips',
      `${printable(example)}${objects > 1 ? ` and ${formatCount(objects - 1)} more` : ''}: ${printable(why)}`,
    ]),
    ...(names.length > 0 ? [['Namespaces', names.join(', ')] as const] : []),
    ...(classes.length > 0 ? [['Storage classes', classes.join(', ')] as const] : []),
    ...(changes.scaleToZero ? [['Workloads', 'come up with 0 replicas; the wanted numbers are noted'] as const] : []),
    ['Keeps', 'every object that is not in the backup as it is'],
  ];
}

/** What of the cluster is changed, for a plan, with what differs. */
export function lossLines({ changed, changes }: StatePlan, after: string): string[] {
  const lines = changes.slice(0, NAMED).map(({ name, differences }) => {
    const shown = differences.slice(0, SHOWN).map(differenceText).join(', ');
    const more = differences.length > SHOWN ? `, and ${differences.length - SHOWN} more` : '';
    return `${printable(name)} is ${after}: ${shown}${more}`;
  });
  return changed > NAMED ? [...lines, `and ${plural(changed - NAMED, 'more object')}`] : lines;
}

/** What a person must see before they go on. */
export function planWarnings({ powerful, refused }: StatePlan): string[] {
  const some = refused.slice(0, NAMED).map(({ name, why }) => `The cluster would refuse ${printable(name)}: ${printable(why)}`);
  const more = refused.length > NAMED ? [`The cluster would refuse ${plural(refused.length - NAMED, 'more object')}.`] : [];
  return [...powerful.map((one) => `${printable(one)}.`), ...some, ...more];
}

/** A type as a row of a restore's or a comparison's table. */
export function rowOf({ type, expected, equal, wrong, wrongCount, notes }: TypeRow): Row {
  const named = wrong.slice(0, NAMED).map(printable);
  const more = wrongCount > named.length ? [`and ${formatCount(wrongCount - named.length)} more`] : [];
  return {
    to: type,
    expected,
    found: equal,
    verdict: wrongCount > 0 ? 'different' : expected === 0 ? 'not-compared' : 'equal',
    differences: [...named, ...more],
    notes,
    contentOnly: false,
  };
}

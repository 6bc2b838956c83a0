// What `backup-integrity-check` does: proves a backup to its last byte, then compares it with a living database.
import type { MetadataError } from '../../backup/metadata-check.ts';
import { openBackup, proveBackup } from '../../backup/read.ts';
import { reportOf, type Row } from '../../backup/kind.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { UsageError, VerificationError } from '../../step/errors.ts';
import { formatCount, formatSeconds, items, plural } from '../../step/format.ts';
import { printable } from '../../step/prose.ts';
import type { Context } from './inputs.ts';
import { storedComponent } from '../../session/components.ts';
import { openKeys } from '../../session/open.ts';
import { recorded } from '../../runs/record.ts';
import { chooseBackup, openSources, type Sources } from '../../session/sources.ts';
import { facts, heading, page, table } from '../../pages/summary.ts';

type Inputs = Context['inputs'];

export async function runBackupIntegrityCheck(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await storedComponent(context, sessionOf(context).kinds);
  return recorded(
    context,
    () => openSources(context, component),
    { component },
    (sources) => checkIntegrity(context, inputs, component, sources),
  );
}

async function checkIntegrity(context: Context, inputs: Inputs, component: string, sources: Sources): Promise<StepReturn> {
  const { host, clock, signal } = context;
  const started = clock.monotonic();
  const recipients = await openKeys(context);
  const { timestamp, copies, doubts } = chooseBackup(context, sources, {
    component,
    timestamp: inputs.timestamp,
    allowOlder: inputs.allowOlder,
  });
  let fault: MetadataError | undefined;
  const { opened, kind, work } = await copies.read(async ({ place: { store, prefix }, listed }) => {
    fault = undefined;
    const onNotice = (message: string): void => {
      host.warning(message);
    };
    const opened = await openBackup({ store, prefix, component, timestamp, recipients, signal, onNotice });
    // What it is, the opened manifest says; a listing only chooses.
    const kind = sessionOf(context).kinds.get(opened.manifest.kind);
    // Of what kind it is only the backup tells, and with it what is needed to reach the living thing.
    const [problem] = kind.check?.(inputs, (name) => host.spell(name), true) ?? [];
    if (problem !== undefined) throw new UsageError(problem, { fix: `Say where the ${kind.thing} is, here or in dr.yml.` });
    const work = await kind.load();
    host.info(`Comparing the backup ${component} ${timestamp} with the ${kind.thing}.`);
    await proveBackup(opened, {
      newInspector: work.newInspector,
      signal,
      onMetadata: (found) => {
        fault = found;
      },
      onProgress: (bytes) => {
        host.progress({ phase: 'Reading the backup', done: bytes, total: listed.dataBytes, unit: 'bytes' });
      },
    });
    return { opened, kind, work };
  }, signal);
  const notice = copies.notice();
  if (notice !== undefined) host.notice(notice);
  if (!work.compare) throw new UsageError(`A backup of kind ${kind.kind} cannot be compared.`, { fix: 'Validate it: backup-validation.' });
  const report = reportOf(kind, opened.manifest);
  const comparison = await work.compare(context, report, () => opened.plain());
  const { unit, group } = work.count(report);
  const { thing, groups } = kind;
  const Thing = `${thing.charAt(0).toUpperCase()}${thing.slice(1)}`;
  const rows = comparison.rows.map((row) => ({ ...row, good: row.verdict !== 'different' || within(row, inputs.tolerance) }));
  const bad = rows.filter(({ good }) => !good);
  const equal = bad.length === 0 && rows.length > 0;
  const seconds = (clock.monotonic() - started) / 1000;
  context.setOutput('timestamp', timestamp);
  context.setOutput('equal', String(equal));
  context.setOutput('items', comparison.found);
  if (unit === 'documents') context.setOutput('documents', comparison.found);
  context.setOutput('seconds', seconds.toFixed(1));
  await host.summary(
    page(
      equal
        ? heading(
            'good',
            `${component} ${timestamp} and the ${thing} are equal${inputs.tolerance > 0 ? ` within ${inputs.tolerance} %` : ''}`,
          )
        : heading('bad', `${component} ${timestamp} and the ${thing} DIFFER`),
      facts([
        [Thing, comparison.fingerprint],
        ['Compared', `${plural(rows.length, group)}, ${items(comparison.found, unit)}: counts, digests, indexes`],
        ['Time', formatSeconds(seconds)],
      ]),
      table(
        [group, 'backup', thing, 'verdict'],
        rows.map((row) => [
          printable(row.to),
          formatCount(row.expected),
          row.found === undefined ? 'missing' : formatCount(row.found),
          verdictText(row),
        ]),
      ),
    ),
  );
  const result = { component, timestamp, equal, [thing]: comparison.fingerprint, totals: comparison.totals, rows };
  // The comparison is worth having all the same.
  if (equal && fault) throw fault;
  if (equal) return { doubts, result };
  const [first] = bad;
  throw new VerificationError(
    first === undefined
      ? `The backup ${component} ${timestamp} holds none of the ${groups} that were asked for.`
      : `${plural(bad.length, group)} of ${rows.length} differ from the backup ${component} ${timestamp}; ${printable(first.to)}: ${first.differences.join(', ')}.`,
    {
      fix:
        inputs.tolerance === 0
          ? `A ${thing} in use differs from its last backup: allow for it with ${host.spell('tolerance')}. After a restore, nothing may differ.`
          : `Look at the table in the summary: a ${group} changed by more than the tolerance since the backup.`,
    },
  );
}

function within({ expected, found, contentOnly }: Row, tolerance: number): boolean {
  if (tolerance === 0 || found === undefined || !contentOnly) return false;
  return Math.abs(found - expected) <= (Math.max(expected, 1) * tolerance) / 100;
}

function verdictText(row: Row & { good: boolean }): string {
  if (row.verdict === 'different') return row.good ? 'changed, within the tolerance' : row.differences.join(', ');
  const notes = row.notes.length > 0 ? ` (${row.notes.join('; ')})` : '';
  return `${row.verdict === 'not-compared' ? 'not compared' : row.verdict}${notes}`;
}

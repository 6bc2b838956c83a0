// What `backup-integrity-check` does: proves a backup to its last byte, then compares it with a living database.
import type { MetadataError } from '../../backup/metadata-check.ts';
import { verifyBackup } from '../../backup/read.ts';
import { newArchiveInspector, type ArchiveReport } from '../../mongodb/archive-inspector.ts';
import type { ComparisonRow } from '../../mongodb/compare.ts';
import type { StepReturn } from '../../step/define.ts';
import { VerificationError } from '../../step/errors.ts';
import { formatCount, formatSeconds, plural } from '../../step/format.ts';
import { printable } from '../../step/prose.ts';
import type { Context } from '../backup-integrity-check/inputs.ts';
import { compareWithDatabase } from './mongodb-address.ts';
import { storedComponent } from './components.ts';
import { openKeys } from './open.ts';
import { recorded } from './record.ts';
import { chooseBackup, openSources, type Sources } from './sources.ts';
import { facts, heading, page, table } from './summary.ts';

type Inputs = Context['inputs'];

export async function runBackupIntegrityCheck(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const component = await storedComponent(context);
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
  host.info(`Comparing the backup ${component} ${timestamp} with the database.`);
  let fault: MetadataError | undefined;
  const { manifest } = await copies.read(({ place: { store, prefix }, listed }) => {
    fault = undefined;
    return verifyBackup({
      ...{ store, prefix, component, timestamp, recipients, signal },
      onNotice: (message) => {
        host.warning(message);
      },
      newInspector: newArchiveInspector,
      onMetadata: (found) => {
        fault = found;
      },
      onProgress: (bytes) => {
        host.progress({ phase: 'Reading the backup', done: bytes, total: listed.dataBytes, unit: 'bytes' });
      },
    });
  }, signal);
  const notice = copies.notice();
  if (notice !== undefined) host.notice(notice);
  const comparison = await compareWithDatabase(context, {
    report: manifest.content as ArchiveReport,
    ...(inputs.include ? { include: inputs.include } : {}),
    ...(inputs.exclude ? { exclude: inputs.exclude } : {}),
    ...(inputs.rename ? { renames: inputs.rename } : {}),
    signal,
    onProgress: (progress) => {
      host.progress(progress);
    },
  });
  const rows = comparison.rows.map((row) => ({ ...row, good: row.verdict !== 'different' || within(row, inputs.tolerance) }));
  const bad = rows.filter(({ good }) => !good);
  const equal = bad.length === 0 && rows.length > 0;
  const seconds = (clock.monotonic() - started) / 1000;
  context.setOutput('timestamp', timestamp);
  context.setOutput('equal', String(equal));
  context.setOutput('documents', comparison.totals.found);
  context.setOutput('seconds', seconds.toFixed(1));
  await host.summary(
    page(
      equal
        ? heading(
            'good',
            `${component} ${timestamp} and the database are equal${inputs.tolerance > 0 ? ` within ${inputs.tolerance} %` : ''}`,
          )
        : heading('bad', `${component} ${timestamp} and the database DIFFER`),
      facts([
        ['Database', comparison.fingerprint],
        ['Compared', `${plural(rows.length, 'collection')}, ${plural(comparison.totals.found, 'document')}: counts, digests, indexes`],
        ['Time', formatSeconds(seconds)],
      ]),
      table(
        ['collection', 'backup', 'database', 'verdict'],
        rows.map((row) => [
          printable(row.to),
          formatCount(row.expected),
          row.found === undefined ? 'missing' : formatCount(row.found),
          verdictText(row),
        ]),
      ),
    ),
  );
  const result = { component, timestamp, equal, database: comparison.fingerprint, totals: comparison.totals, rows };
  // The comparison is worth having all the same.
  if (equal && fault) throw fault;
  if (equal) return { doubts, result };
  const [first] = bad;
  throw new VerificationError(
    first === undefined
      ? `The backup ${component} ${timestamp} holds none of the collections that were asked for.`
      : `${plural(bad.length, 'collection')} of ${rows.length} differ from the backup ${component} ${timestamp}; ${printable(first.to)}: ${first.differences.join(', ')}.`,
    {
      fix:
        inputs.tolerance === 0
          ? `A database in use differs from its last backup: allow for it with ${host.spell('tolerance')}. After a restore, nothing may differ.`
          : 'Look at the table in the summary: a collection changed by more than the tolerance since the backup.',
    },
  );
}

function within({ expected, found, documentsOnly }: ComparisonRow, tolerance: number): boolean {
  if (tolerance === 0 || found === undefined || !documentsOnly) return false;
  return Math.abs(found - expected) <= (Math.max(expected, 1) * tolerance) / 100;
}

function verdictText(row: ComparisonRow & { good: boolean }): string {
  if (row.verdict === 'different') return row.good ? 'changed, within the tolerance' : row.differences.join(', ');
  const notes = row.notes.length > 0 ? ` (${row.notes.join('; ')})` : '';
  return `${row.verdict === 'not-compared' ? 'not compared' : row.verdict}${notes}`;
}

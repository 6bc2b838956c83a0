// What `backup-all` does: the backup step of every component under one timestamp, then the group manifest.
import { knownBackups } from '../../catalog/known.ts';
import { isAhead, listBackups, type BackupState } from '../../catalog/list.ts';
import { listPoints, writePoint, type PointMember, type RecoveryPoint } from '../../catalog/points.ts';
import { nextFreeTimestamp } from '../../backup/free-timestamp.ts';
import { pointName } from '../../backup/layout.ts';
import { absentDr } from '../../config/source.ts';
import { isDue } from '../../config/due.ts';
import { nextRuns } from '../../config/schedule.ts';
import type { DrConfig } from '../../config/dr-config.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { CancelledError, UsageError, UserError, withFix } from '../../step/errors.ts';
import type { Finish } from '../../step/host.ts';
import { formatBytes, formatCount, formatSeconds, items, plural } from '../../step/format.ts';
import { shellLine } from '../../step/shell.ts';
import type { Timestamp } from '../../step/timestamp.ts';
import { ObjectExistsError } from '../../stores/errors.ts';
import type { Store } from '../../stores/store.ts';
import { backupStep } from '../kind-backup/index.ts';
import { changeText, sparkline } from '../../monitor/trend.ts';
import type { Context } from './inputs.ts';
import type { BackupRecord } from '../../runs/backup.ts';
import type { OutlookRecord } from '../../runs/outlook.ts';
import { givenWords } from '../../pages/next-command.ts';
import { runPart } from '../../runs/part.ts';
import { commandBlock, heading, page, table } from '../../pages/summary.ts';

/** States of a backup that was made; its doubts are told elsewhere, and a second one would have the same. */
const MADE: ReadonlySet<BackupState> = new Set(['verified', 'committed', 'suspect']);

interface Part {
  member: PointMember;
  seconds: number;
  /** How it stands against the runs before, where its step tells. */
  outlook: Partial<OutlookRecord>;
}

export async function runBackupAll(context: Context): Promise<StepReturn> {
  const { type, due, timestamp: given } = context.inputs;
  const { clock, signal } = context;
  const started = clock.monotonic();
  const dr = await loadConfig(context);
  const all = dr.componentNames(type === 'full' ? undefined : type);
  if (all.length === 0) {
    throw new UsageError(`${dr.label} has no component of kind ${type}.`, { fix: 'Add one, or use type full.' });
  }
  const stores = await openStores(context, dr, all);
  const names = due ? await dueAmong(context, dr, stores) : all;
  if (names.length === 0) return nothingDue(context, dr, all);
  const timestamp = given ?? (await freeTimestamp(context, dr.dr.name, names, stores));
  await refuseTaken(context, dr.dr.name, timestamp, stores);
  const parts: Part[] = [];
  for (const component of names) {
    parts.push(await backUp(context, dr, component, timestamp));
    if (signal.aborted)
      throw new CancelledError('Cancelled. Backups that were finished before stay; there is no recovery point of this run.');
  }
  const point: RecoveryPoint = {
    timestamp,
    name: dr.dr.name,
    created: clock.now(),
    complete: names.length === dr.componentNames().length && parts.every(({ member }) => isThere(member)),
    run: context.host.run,
    components: parts.map(({ member }) => member),
  };
  const doubts = await keepPoint(context, point, stores);
  return report(context, dr, { point, parts, doubts }, (clock.monotonic() - started) / 1000);
}

async function loadConfig(context: Context): Promise<DrConfig> {
  const dr = await sessionOf(context).dr();
  if (dr) return dr;
  throw new UsageError(`${absentDr()}, and only it can say what "all" is.`, {
    fix: `Go to its folder, set ${context.host.spell('config')}, or write one: lifeboat init.`,
  });
}

/** Component → its store; components of one store share the object. */
async function openStores(context: Context, dr: DrConfig, names: readonly string[]): Promise<Map<string, Store>> {
  const byComponent = new Map<string, Store>();
  for (const component of names) {
    const name = dr.storeNameOf(component);
    if (name === undefined) throw new UsageError(`${dr.label} has no stores: there is nowhere to put the backups.`, { fix: 'Add stores.' });
    byComponent.set(component, await sessionOf(context).store(await dr.store(name), { makes: true }));
  }
  return byComponent;
}

/** The components that are due; what is not is said. */
async function dueAmong({ host, clock, signal }: Context, dr: DrConfig, stores: ReadonlyMap<string, Store>): Promise<string[]> {
  const now = clock.now();
  const due: string[] = [];
  for (const [component, store] of stores) {
    const { schedule } = dr.component(component);
    // What cannot be told is due: if the store is down, the component's own step says so.
    const last = schedule === undefined ? undefined : await answerOf(signal, () => lastBackup(store, dr.dr.name, component, now, signal));
    if (schedule === undefined || isDue(schedule, last, now)) due.push(component);
    else host.info(`${component} is not due: ${nextText(schedule, now)}.`);
  }
  return due;
}

/** When the last backup was made that is there. One from the future tells nothing. */
async function lastBackup(store: Store, prefix: string, component: string, now: Date, signal: AbortSignal): Promise<Date | undefined> {
  const backups = await knownBackups(store, prefix, { component, signal });
  return backups.findLast((backup) => MADE.has(backup.state) && !isAhead(backup, now))?.time;
}

function nextText(schedule: string, now: Date): string {
  const [next] = nextRuns(schedule, now, 1);
  return next === undefined ? 'it never comes due again' : `next at ${next.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

async function nothingDue(context: Context, dr: DrConfig, names: readonly string[]): Promise<StepReturn> {
  const now = context.clock.now();
  context.setOutput('timestamp', '');
  for (const name of ['components', 'failed', 'storedBytes', 'seconds'] as const) context.setOutput(name, 0);
  await context.host.summary(
    page(
      heading('good', `${dr.dr.name}: nothing is due`),
      names.map((name) => `- ${name}: ${nextText(dr.component(name).schedule ?? '', now)}`).join('\n'),
    ),
  );
  return { result: { name: dr.dr.name, due: [] } };
}

/** What a store says; undefined when it does not answer: that stops only the components whose backups go there. */
async function answerOf<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof UserError)) throw thrown;
    return undefined;
  }
}

/** The next second that no recovery point and no backup of these components has. */
async function freeTimestamp(
  { clock, signal }: Context,
  prefix: string,
  names: readonly string[],
  stores: ReadonlyMap<string, Store>,
): Promise<Timestamp> {
  const now = clock.now();
  const taken: Timestamp[] = [];
  for (const store of new Set(stores.values())) {
    const points = await answerOf(signal, () => listPoints(store, prefix, signal));
    const backups = await answerOf(signal, () => listBackups(store, prefix, { since: new Date(now.getTime() - 1000), signal }));
    taken.push(...(points ?? []).map(({ timestamp }) => timestamp));
    taken.push(...(backups ?? []).filter(({ component }) => names.includes(component)).map(({ timestamp }) => timestamp));
  }
  return nextFreeTimestamp(now, taken);
}

/** @throws ObjectExistsError before anything is dumped */
async function refuseTaken({ signal }: Context, prefix: string, timestamp: Timestamp, stores: ReadonlyMap<string, Store>): Promise<void> {
  for (const store of new Set(stores.values())) {
    if (!(await answerOf(signal, () => store.stat(pointName(prefix, timestamp), signal)))) continue;
    throw new ObjectExistsError(`There is already a recovery point ${timestamp} in ${store.location}.`, {
      fix: 'Give another timestamp, or leave it out.',
    });
  }
}

/** Writes the group manifest into every store that holds a part of it. @returns where that did not work: the backups are as good as they are */
async function keepPoint({ signal }: Context, point: RecoveryPoint, stores: ReadonlyMap<string, Store>): Promise<string[]> {
  const doubts: string[] = [];
  for (const store of new Set(point.components.filter(isThere).flatMap(({ component }) => stores.get(component) ?? []))) {
    try {
      await writePoint(store, point.name, point, signal);
    } catch (thrown) {
      if (signal.aborted || !(thrown instanceof UserError)) throw thrown;
      doubts.push(`${store.location} does not say which backups belong together: ${withFix(thrown)}`);
    }
  }
  return doubts;
}

/** Runs a component's step to its end; what went wrong is in the member. */
async function backUp(context: Context, dr: DrConfig, component: string, timestamp: Timestamp): Promise<Part> {
  const { host, clock } = context;
  const { kind } = dr.component(component);
  const step = backupStep(sessionOf(context).kinds.get(kind));
  const started = clock.monotonic();
  const finish = await host.group(`${component} (${kind})`, () => runPart(context, step, { component, timestamp }));
  const outlook = (finish.result ?? {}) as Partial<OutlookRecord>;
  return { member: memberOf(component, kind, finish), seconds: (clock.monotonic() - started) / 1000, outlook };
}

function memberOf(component: string, kind: string, { outcome, warnings, error, result }: Finish): PointMember {
  // Without a result the backup was not made.
  const { location: store, verified, items, plainBytes, storedBytes } = (result ?? {}) as Partial<BackupRecord>;
  const told = error && [error.message, error.fix].filter((text) => text !== undefined).join(/\w$/.test(error.message) ? '. ' : ' ');
  const member = {
    ...{ component, kind, outcome, store, verified: verified && verified === 'full', items },
    documents: items?.unit === 'documents' ? items.count : undefined,
    ...{ plainBytes, storedBytes, warnings: warnings.length === 0 ? undefined : warnings, error: told },
  };
  return Object.fromEntries(Object.entries(member).filter(([, value]) => value !== undefined)) as PointMember;
}

function countText({ items: counted }: PointMember, head: string): string {
  if (counted === undefined) return '-';
  return counted.unit === head ? formatCount(counted.count) : items(counted.count, counted.unit);
}

/** One heading where all count the same. */
function itemsHead(members: readonly PointMember[]): string {
  const units = new Set(members.flatMap(({ items: counted }) => counted?.unit ?? []));
  const [only = 'items'] = units;
  return units.size === 1 ? only : 'items';
}

function isThere({ outcome }: PointMember): boolean {
  return outcome === 'succeeded' || outcome === 'partial';
}

async function report(
  context: Context,
  dr: DrConfig,
  { point, parts, doubts }: { point: RecoveryPoint; parts: readonly Part[]; doubts: readonly string[] },
  seconds: number,
): Promise<StepReturn> {
  const failed = point.components.filter((member) => !isThere(member));
  const done = point.components.length - failed.length;
  const storedBytes = point.components.reduce((sum, { storedBytes: bytes = 0 }) => sum + bytes, 0);
  context.setOutput('timestamp', point.timestamp);
  context.setOutput('components', done);
  context.setOutput('failed', failed.length);
  context.setOutput('storedBytes', storedBytes);
  context.setOutput('seconds', seconds.toFixed(1));
  await context.host.summary(
    page(
      failed.length === 0
        ? heading('good', `Recovery point ${point.timestamp} of ${dr.dr.name}: ${plural(done, 'component')}`)
        : heading(
            'bad',
            `Recovery point ${point.timestamp} of ${dr.dr.name}: ${failed.length} of ${plural(point.components.length, 'component')} FAILED`,
          ),
      table(
        ['component', 'outcome', itemsHead(point.components), 'stored', 'change', 'trend', 'took', 'change', ''],
        parts.map(({ member, seconds: took, outlook: { trend } }) => [
          member.component,
          isThere(member) ? (member.verified ? 'verified' : member.outcome) : 'FAILED',
          countText(member, itemsHead(point.components)),
          member.storedBytes === undefined ? '-' : formatBytes(member.storedBytes),
          changeText(trend?.storedBytes?.againstLastPercent ?? undefined),
          sparkline(trend?.storedBytes?.values ?? []),
          formatSeconds(took),
          changeText(trend?.durationMs?.againstLastPercent ?? undefined),
          member.error ?? member.warnings?.join(' ') ?? '',
        ]),
      ),
      done === 0 ? undefined : 'Validate it with',
      done === 0 ? undefined : commandBlock(shellLine(['lifeboat', 'verify', point.timestamp, ...givenWords(context, ['config', 'name'])])),
    ),
  );
  const told = failed.map(({ component, error }) => `${component}: ${error ?? 'failed'}`);
  if (done === 0) {
    throw new UserError(
      told.length === 1
        ? `The one component could not be backed up. ${told[0] as string}`
        : `Not one of ${plural(told.length, 'component')} could be backed up:\n${told.map((line) => `- ${line}`).join('\n')}`,
    );
  }
  const warnings = point.components.flatMap(({ component, warnings: own = [] }) => own.map((text) => `${component}: ${text}`));
  return { doubts: [...told, ...warnings, ...doubts], result: { ...point, seconds: Number(seconds.toFixed(1)) } };
}

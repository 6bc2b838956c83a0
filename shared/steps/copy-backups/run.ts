// What `copy-backups` does: the components to copy, one store of copies after the other, and the page about them.
import type { DrConfig } from '../../config/dr-config.ts';
import { absentDr, wayToDr } from '../../config/source.ts';
import { heading, page, table } from '../../pages/summary.ts';
import { copyDoubts, copyRecord, copyToAll, type CopiedTo, type CopyJob } from '../../runs/copy.ts';
import { recorded } from '../../runs/record.ts';
import { componentsIn, nothingThere } from '../../session/components.ts';
import type { Place } from '../../backup/place.ts';
import { openKeys, openPlaceAt } from '../../session/open.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { UsageError, UserError, VerificationError, withFix } from '../../step/errors.ts';
import { formatBytes, formatSeconds, plural } from '../../step/format.ts';
import type { Context } from './inputs.ts';

export async function runCopyBackups(context: Context): Promise<StepReturn> {
  const started = context.clock.monotonic();
  const jobs = await jobsOf(context);
  const done: { component: string; results: CopiedTo[] }[] = [];
  const doubts: string[] = [];
  const failures: UserError[] = [];
  for (const job of jobs) {
    try {
      await recorded(context, job.place, { component: job.component, effects: 'writes' }, async () => {
        const results = await copyComponent(context, job);
        done.push({ component: job.component, results });
        const own = copyDoubts(results);
        doubts.push(...own);
        return { doubts: own, result: { component: job.component, copies: copyRecord(results) } };
      });
    } catch (thrown) {
      if (context.signal.aborted || !(thrown instanceof UserError)) throw thrown;
      failures.push(thrown);
    }
  }
  const [failure] = failures;
  // Its own error tells more than a list of one: a store that is locked refuses, it does not fail.
  if (failure && done.length === 0 && failures.length === 1) throw failure;
  if (done.length === 0) throw new UserError(failures.map((one) => `- ${withFix(one)}`).join('\n'));
  doubts.push(...failures.map(withFix));
  const results = done.flatMap((one) => one.results);
  const copied = results.reduce((sum, one) => sum + one.copied.length, 0);
  context.setOutput('copied', copied);
  context.setOutput(
    'failed',
    results.reduce((sum, one) => sum + one.failed.length, 0),
  );
  context.setOutput('lagSeconds', Math.round(Math.max(...results.map(({ lagMs }) => lagMs)) / 1000));
  const seconds = (context.clock.monotonic() - started) / 1000;
  const what = done.map(({ component }) => `${context.inputs.name}/${component}`).join(', ');
  const faults = results.flatMap(({ faults: found = [] }) => found);
  await context.host.summary(
    page(
      heading(
        faults.length > 0 ? 'bad' : doubts.length > 0 ? 'doubtful' : 'good',
        copied > 0
          ? `${plural(copied, 'backup')} of ${what} copied in ${formatSeconds(seconds)}`
          : doubts.length > 0
            ? `No backup of ${what} copied`
            : `Copies of ${what} are complete: none was missing`,
      ),
      doubts.length === 0 ? undefined : doubts.map((doubt) => `- **${doubt}**`).join('\n'),
      table(
        ['component', 'to', 'copied', 'bytes', 'failed', 'behind by'],
        done.flatMap(({ component, results: own }) => own.map((one) => [component, ...row(one)])),
      ),
    ),
  );
  if (faults.length > 0)
    throw new VerificationError(`The copies are made, and not all originals are as they were written. ${[...new Set(doubts)].join(' ')}`);
  const components = done.map(({ component, results: own }) => ({ component, copies: copyRecord(own) }));
  return { doubts, result: components.length === 1 ? components[0] : { components } };
}

/** @throws UserError when nothing could be copied, or there is nothing to copy */
async function copyComponent(
  context: Context,
  { place, component, copies }: Pick<CopyJob, 'place' | 'component' | 'copies'>,
): Promise<CopiedTo[]> {
  const { days, vault, recipients: wanted } = context.inputs;
  const recipients = vault === undefined && wanted === undefined ? [] : await openKeys(context);
  const results = await copyToAll(context, { place, component, copies, recipients, days });
  const [only] = results;
  if (results.length === 1 && only?.failure !== undefined) throw only.failure;
  if (results.every(({ problem }) => problem !== undefined)) throw new UserError(copyDoubts(results).join(' '));
  if (results.every(({ nothing }) => nothing)) throw await nothingToCopy(context, place, component);
  return results;
}

async function nothingToCopy(context: Context, place: Place, component?: string): Promise<UserError> {
  const wrong = await nothingThere(context, place, component);
  if (wrong) return wrong;
  return new UserError(
    `There is nothing to copy: ${place.store.location} has no backup${component === undefined ? '' : ` of ${component}`} below ${place.prefix}.`,
    {
      fix: `Make one first, or check ${context.host.spell('store')} and ${context.host.spell('name')} and, for a folder, whether its disk is mounted.`,
    },
  );
}

/**
 * What is to be copied: the named component, every component of dr.yml that has copies, or all that the store has.
 * @throws UsageError when nothing says from where, or where to
 */
async function jobsOf(context: Context): Promise<Pick<CopyJob, 'place' | 'component' | 'copies'>[]> {
  const { host, inputs } = context;
  const dr = await sessionOf(context).dr();
  const given = (name: 'store' | 'copies'): boolean => context.origin(name) === 'input';
  const names = inputs.component !== undefined ? [inputs.component] : dr?.componentNames();
  const places = new Map<string, Place>();
  const at = async (address: string): Promise<Place> => {
    const place = places.get(address) ?? (await openPlaceAt(context, address));
    places.set(address, place);
    return place;
  };
  if (names === undefined) {
    const [store, copies] = [inputs.store, inputs.copies];
    if (store === undefined || copies === undefined) throw missing(context, undefined, store === undefined ? 'store' : 'copies');
    const place = await at(store);
    const there = await componentsIn(place, context.signal);
    if (there.length === 0) throw await nothingToCopy(context, place);
    return there.map((component) => ({ place, component, copies }));
  }
  const jobs: Pick<CopyJob, 'place' | 'component' | 'copies'>[] = [];
  for (const component of names) {
    const entry = dr?.componentNames().includes(component) ? { ...dr.component(component), store: dr.storeNameOf(component) } : inputs;
    const store = given('store') ? inputs.store : entry.store;
    const copies = given('copies') ? inputs.copies : entry.copies;
    if (copies === undefined && names.length > 1) continue;
    if (store === undefined || copies === undefined) throw missing(context, dr, store === undefined ? 'store' : 'copies');
    jobs.push({ place: await at(store), component, copies });
  }
  if (jobs.length > 0) return jobs;
  throw new UsageError(`No component of ${dr?.label ?? 'dr.yml'} has copies.`, {
    fix: `Add copies: [<store>] to a component, or set ${host.spell('copies')}.`,
  });
}

function missing({ host }: Context, dr: DrConfig | undefined, name: 'store' | 'copies'): UsageError {
  const what = `${host.spell(name)} is missing: ${name === 'store' ? 'where are the backups to copy?' : 'where should the copies go?'}`;
  if (dr) return new UsageError(what, { fix: `Set ${host.spell(name)} to the name of a store in ${dr.label} or an address.` });
  return new UsageError(`${absentDr()}, and ${what}`, {
    fix: `Set ${host.spell(name)} to the address of a store, or ${wayToDr(host)}.`,
  });
}

function row({ name, location, copied, failed, lagMs, problem }: CopiedTo): string[] {
  const bytes = copied.reduce((sum, one) => sum + one.bytes, 0);
  const behind = problem !== undefined ? 'unknown' : lagMs === 0 ? 'nothing' : formatSeconds(lagMs / 1000);
  return [location ?? name, String(copied.length), formatBytes(bytes), String(failed.length), behind];
}

// What `notify` does: works out how a pipeline ended, what was before, and tells the channels.
import { traitsOf, type ChannelEntry } from '../../notify/open.ts';
import { writeRunRecord } from '../../catalog/runs.ts';
import { composeRun } from '../../notify/compose.ts';
import { Notifications } from '../../notify/notifications.ts';
import { readOutcome, readResults, worstOf, type JobResult } from '../../notify/results.ts';
import { sessionOf } from '../../session/session.ts';
import type { StepReturn } from '../../step/define.ts';
import { errorMessage, UsageError, type Outcome } from '../../step/errors.ts';
import type { Masker } from '../../step/masking.ts';
import { formatTimestamp } from '../../step/timestamp.ts';
import type { Context } from './inputs.ts';
import { historyOf, notificationsOf } from '../../runs/announce.ts';
import type { Place } from '../../backup/place.ts';
import { openPlaceAt } from '../../session/open.ts';
import { maskerOf } from '../../runs/secrets.ts';

const WRITE_MS = 20_000;

type Inputs = Context['inputs'];

export async function runNotify(context: Context): Promise<StepReturn> {
  const inputs = context.inputs;
  const { host, clock } = context;
  const masker = maskerOf(context);
  const jobs = inputs.results === undefined ? [] : readResults(inputs.results);
  const outcome = inputs.outcome === undefined ? worstOf(jobs) : readOutcome(inputs.outcome);
  // A channel that is not told, for whatever reason, makes the outcome partial: telling is all that this step does.
  const problems: string[] = [];
  const notifications = await channelsOf(context, inputs, masker, (problem) => problems.push(problem));
  const place = await placeOf(context, inputs);
  const about = { step: context.step, component: inputs.component };
  const record = place && (await keep(context, place, inputs, outcome));
  const history = await historyOf(context, place, about, record);
  const now = clock.now();
  const message = composeRun(
    {
      ...about,
      step: host.run.workflow ?? 'pipeline',
      name: inputs.name,
      outcome,
      doubts: lines(inputs, jobs),
      next: inputs.next ?? (outcome === 'failed' || outcome === 'partial' ? 'lifeboat status' : undefined),
      started: now,
      finished: now,
      run: host.run,
    },
    history,
  );
  const { told } = await notifications.tell(message, { beat: true });
  context.setOutput('told', told.length);
  context.setOutput('event', message.event);
  host.info(told.length > 0 ? `Told of "${message.title}": ${told.join(', ')}.` : `No one was told of "${message.title}".`);
  return { doubts: problems, result: { event: message.event, severity: message.severity, title: message.title, told, problems } };
}

function lines({ message }: Inputs, jobs: readonly JobResult[]): string[] {
  return [...(message === undefined ? [] : [message]), ...jobs.map(({ job, word }) => `${job}: ${word}`)];
}

/** The one channel of the inputs, else those of dr.yml. @throws UsageError when there is neither */
async function channelsOf(context: Context, inputs: Inputs, masker: Masker, warn: (problem: string) => void): Promise<Notifications> {
  const { host, clock } = context;
  if (inputs.channel !== undefined && inputs.url !== undefined) {
    const { channel: kind, url, from = '', to = [] } = inputs;
    // Asked for by hand: told of everything.
    const entry = {
      kind,
      url: url.reveal(),
      ...(traitsOf(kind).mail ? { from, to } : {}),
      ...(traitsOf(kind).beats ? {} : { on: ALL }),
    } as ChannelEntry;
    return Notifications.open([entry], {
      masker,
      clock,
      warn,
    });
  }
  const config = await sessionOf(context).dr();
  if (config === undefined || config.channels().length === 0) {
    throw new UsageError('There is no one to tell: dr.yml has no notify, and no channel was given.', {
      fix: `Add notify to dr.yml, or set ${host.spell('channel')} and ${host.spell('url')}.`,
    });
  }
  return notificationsOf(context, config, masker, warn);
}

const ALL = ['succeeded', 'partial', 'failed', 'cancelled', 'refused', 'recovered', 'alert'];

/** The store, where one is known and can be opened: people are told without it, too. */
async function placeOf(context: Context, { store }: Inputs): Promise<Place | undefined> {
  if (store === undefined) return undefined;
  try {
    return await openPlaceAt(context, store);
  } catch (thrown) {
    context.host.warning(`The message goes out without the last good backup. ${errorMessage(thrown)}`);
    return undefined;
  }
}

/** Keeps how the pipeline ended, so that the next success is known as a recovery. */
async function keep(
  { host, clock, step }: Context,
  { store, prefix }: Place,
  { component }: Inputs,
  outcome: Outcome,
): Promise<string | undefined> {
  const now = clock.now();
  const record = { step, outcome, component, started: now, finished: now, run: host.run };
  try {
    return await writeRunRecord(store, prefix, formatTimestamp(now), record, AbortSignal.timeout(WRITE_MS));
  } catch (thrown) {
    host.debug(`How the pipeline ended is not kept: ${errorMessage(thrown)}`);
    return undefined;
  }
}

// Makes the message about a run: from how it ended, and from what the records say of the runs before it.
import type { NotifyEvent } from './events.ts';
import type { ListedBackup } from '../catalog/list.ts';
import { isFailure, type ListedRun } from '../catalog/runs.ts';
import type { Outcome } from '../step/errors.ts';
import { formatSeconds, plural } from '../step/format.ts';
import type { RunIdentity } from '../step/host.ts';
import { timestampToDate } from '../step/timestamp.ts';
import { severityOf, type Message, type Severity } from './message.ts';
import { moment } from './text.ts';

/** How a run ended. */
export interface EndedRun {
  step: string;
  component?: string | undefined;
  /** dr.yml's name. */
  name: string;
  outcome: Outcome;
  /** What a person is told, with what to do about it. */
  error?: string | undefined;
  fix?: string | undefined;
  doubts?: readonly string[] | undefined;
  /** A command line to run next. */
  next?: string | undefined;
  started: Date;
  finished: Date;
  run: RunIdentity;
}

/** Failures in a row right before a run. */
export interface Trouble {
  since: Date;
  runs: number;
}

/** What the records add; undefined where they could not be read. */
export interface History {
  trouble?: Trouble | undefined;
  lastGoodBackup?: Message['lastGoodBackup'];
}

/**
 * The row of failed and doubtful runs of a step and component that no success has ended. Runs that were cancelled or refused tell nothing.
 * @param runs oldest first, as `listRuns` gives them, without the run that is asked about
 */
export function troubleOf(runs: readonly ListedRun[], about: { step: string; component?: string | undefined }): Trouble | undefined {
  let trouble: Trouble | undefined;
  for (const run of runs.toReversed()) {
    const { step, component, outcome, timestamp } = run;
    if (step !== about.step || component !== about.component) continue;
    if (outcome === 'succeeded') break;
    if (isFailure(run) || outcome === 'partial') trouble = { since: timestampToDate(timestamp), runs: (trouble?.runs ?? 0) + 1 };
  }
  return trouble;
}

/**
 * The moment that all components together can be restored to: the oldest of their newest verified backups.
 * @returns null when one of them has none, undefined without components
 */
export function lastGoodOf(backups: readonly ListedBackup[], components: readonly string[]): Message['lastGoodBackup'] {
  const newest = components.map((component) => backups.findLast((one) => one.component === component && one.state === 'verified'));
  if (newest.includes(undefined)) return null;
  const [oldest] = newest.filter((one) => one !== undefined).sort((a, b) => a.time.getTime() - b.time.getTime());
  return oldest && { timestamp: oldest.timestamp, time: oldest.time };
}

/** What is told of a run: its outcome, or `recovered` when it ends a row of failures. */
export function eventOf(outcome: Outcome, trouble: Trouble | undefined): NotifyEvent {
  return outcome === 'succeeded' && trouble !== undefined ? 'recovered' : outcome;
}

const ENDINGS: Record<NotifyEvent, string> = {
  succeeded: 'succeeded',
  recovered: 'succeeded again',
  partial: 'is doubtful',
  failed: 'failed',
  cancelled: 'was cancelled',
  refused: 'was refused',
  alert: 'needs attention',
};

export function composeRun(ended: EndedRun, { trouble, lastGoodBackup }: History): Message {
  const { step, component, name, outcome, started, finished, next, run } = ended;
  const event = eventOf(outcome, trouble);
  const bad = outcome === 'failed' || outcome === 'partial';
  return {
    event,
    severity: severityOf(event),
    title: `${step} of ${component === undefined ? name : `${name}/${component}`} ${ENDINGS[event]}`,
    text: sentences(ended, event, trouble).join('\n'),
    name,
    component,
    step,
    at: finished,
    ...(bad ? { since: trouble?.since ?? started } : {}),
    lastGoodBackup,
    next,
    run,
  };
}

function sentences({ error, fix, doubts = [], started, finished }: EndedRun, event: NotifyEvent, trouble: Trouble | undefined): string[] {
  const lines = [...(error === undefined ? [] : [error]), ...doubts, ...(fix === undefined ? [] : [fix])];
  if (event === 'recovered' && trouble)
    lines.push(`It had gone wrong ${trouble.runs === 1 ? 'once' : plural(trouble.runs, 'time')}, since ${moment(trouble.since)}.`);
  else if (trouble && event !== 'succeeded')
    lines.push(`The ${trouble.runs === 1 ? 'run' : plural(trouble.runs, 'run')} before went wrong, too.`);
  if (event === 'succeeded' || event === 'recovered') lines.push(`Took ${formatSeconds((finished.getTime() - started.getTime()) / 1000)}.`);
  return lines;
}

/** Something that is wrong without a run having said so. */
export interface Problem {
  severity: Severity;
  component?: string | undefined;
  message: string;
  since?: Date | undefined;
  next?: string | undefined;
}

export interface LookedAt {
  name: string;
  /** The worst first; none: all is well again. */
  problems: readonly Problem[];
  /** What the components concerned can be restored to. */
  lastGoodBackup?: Message['lastGoodBackup'];
  at: Date;
  run: RunIdentity;
}

/** What every channel shows of a title without cutting it. */
const LONGEST_TITLE = 140;

/** The message about a status: what is wrong now, or that nothing is any more. */
export function composeAlert({ name, problems, lastGoodBackup, at, run }: LookedAt): Message {
  const [worst] = problems;
  if (worst === undefined) {
    return {
      event: 'recovered',
      severity: 'info',
      title: `The backups of ${name} are well again`,
      text: '',
      name,
      step: 'status',
      at,
      lastGoodBackup,
      run,
    };
  }
  const components = new Set(problems.map(({ component }) => component));
  const [component] = components;
  const since = problems.flatMap((problem) => problem.since ?? []).sort((a, b) => a.getTime() - b.getTime())[0];
  const next = problems.find((problem) => problem.next !== undefined)?.next;
  // Several installations may share a chat.
  const told = `${name}: ${worst.message}`;
  const alone = problems.length === 1 && told.length <= LONGEST_TITLE && !told.includes('\n');
  return {
    event: 'alert',
    severity: worst.severity,
    title: alone ? told : `${plural(problems.length, 'problem')} with the backups of ${name}`,
    text: alone ? '' : problems.map(({ severity, message }) => `${severity}: ${message}`).join('\n'),
    name,
    ...(components.size === 1 && component !== undefined ? { component } : {}),
    step: 'status',
    at,
    since,
    lastGoodBackup,
    next,
    run,
  };
}

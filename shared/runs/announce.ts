// Tells the channels of dr.yml how a run ended. Nothing that goes wrong here reaches the run: it is a warning.
import type { DrConfig } from '../config/dr-config.ts';
import { safetyOf } from '../backup/layout.ts';
import { knownBackups } from '../catalog/known.ts';
import { isAhead, type ListedBackup } from '../catalog/list.ts';
import { listRunsSince } from '../catalog/runs.ts';
import type { EndedRun, History } from '../notify/compose.ts';
import type { Notifications } from '../notify/notifications.ts';
import { sessionOf } from '../session/session.ts';
import type { StepContext } from '../step/define.ts';
import { errorMessage } from '../step/errors.ts';
import type { Masker } from '../step/masking.ts';
import type { targetInputs } from '../session/inputs.ts';
import type { Place } from '../backup/place.ts';

/** What the records are read for may not take longer. */
const HISTORY_MS = 20_000;
/** How far back failures in a row are counted: a monthly backup has its last runs in it. */
const HISTORY_DAYS = 92;

/** The announcements of one run. */
export interface Announcer {
  /** Tells the heartbeats that a backup begins. */
  begin(): void;
  /** Tells how it ended. Never throws. */
  end(ended: EndedRun, history: () => Promise<History>): Promise<void>;
}

const SILENT: Announcer = { begin: () => undefined, end: async () => undefined };

/** @param beat true for the run of a backup: the heartbeats' business */
export async function openAnnouncer(
  context: StepContext<Pick<typeof targetInputs, 'config'>>,
  { component, beat, masker }: { component: string | undefined; beat: boolean; masker: Masker },
): Promise<Announcer> {
  let notifications: Notifications | undefined;
  try {
    notifications = await openNotifications(context, masker);
  } catch (thrown) {
    context.host.warning(`No one is told how this run ends. ${errorMessage(thrown)}`);
  }
  return notifications ? announcer(context, notifications, { component, beat }) : SILENT;
}

/** The channels of dr.yml; undefined when there is no file or it names none. */
async function openNotifications(
  context: StepContext<Pick<typeof targetInputs, 'config'>>,
  masker: Masker,
): Promise<Notifications | undefined> {
  const config = await sessionOf(context).dr();
  return config === undefined || config.channels().length === 0 ? undefined : notificationsOf(context, config, masker);
}

/** The channels of a dr.yml, ready to be told. @param warn told of each channel that cannot be used or does not answer; a warning when absent */
export async function notificationsOf(
  { host, clock }: StepContext,
  config: DrConfig,
  masker: Masker,
  warn = (problem: string): void => {
    host.warning(problem);
  },
): Promise<Notifications> {
  const { Notifications: Channels } = await import('../notify/notifications.ts');
  return Channels.ofConfig(config, { masker, clock, warn });
}

function announcer(
  { host, signal }: StepContext,
  notifications: Notifications,
  { component, beat }: { component: string | undefined; beat: boolean },
): Announcer {
  return {
    begin: () => {
      if (beat) notifications.begin(component);
    },
    async end(ended, history) {
      try {
        const { composeRun, eventOf } = await import('../notify/compose.ts');
        const cancelled = signal.aborted;
        const options = { beat, cancelled };
        const events = ended.outcome === 'succeeded' ? (['succeeded', 'recovered'] as const) : ([ended.outcome] as const);
        if (!events.some((event) => notifications.wants(event, component, options))) return;
        // A run that was cancelled is killed in seconds: it is told without its history.
        const known = cancelled ? {} : await history();
        if (!notifications.wants(eventOf(ended.outcome, known.trouble), component, options)) return;
        const { told } = await notifications.tell(composeRun(ended, known), options);
        if (told.length > 0) host.info(`Told: ${told.join(', ')}.`);
      } catch (thrown) {
        host.warning(`No one was told how this run ended. ${errorMessage(thrown)}`);
      }
    },
  };
}

/**
 * What the store's records say of the runs before.
 * @param recordName the record of the run itself, which is passed over
 */
export async function historyOf(
  { host, clock }: StepContext,
  place: Place | undefined,
  about: { step: string; component?: string | undefined },
  recordName?: string,
): Promise<History> {
  if (place === undefined) return {};
  const { store, prefix } = place;
  const signal = AbortSignal.timeout(HISTORY_MS);
  try {
    const { lastGoodOf, troubleOf } = await import('../notify/compose.ts');
    const now = clock.now();
    const since = new Date(now.getTime() - HISTORY_DAYS * 86_400_000);
    const runs = (await listRunsSince(store, prefix, { since, now }, signal)).filter(({ name }) => name !== recordName);
    const trouble = troubleOf(runs, about);
    const { component } = about;
    const listed = await knownBackups(store, prefix, { component, signal });
    const backups = listed.filter((backup) => !isAhead(backup, now));
    return { trouble, lastGoodBackup: lastGoodOf(backups, component === undefined ? componentsOf(backups) : [component]) };
  } catch (thrown) {
    host.debug(`The notification goes out without what was before: ${errorMessage(thrown)}`);
    return {};
  }
}

/** What restores replaced is no component of its own. */
function componentsOf(backups: readonly ListedBackup[]): string[] {
  return [...new Set(backups.map(({ component }) => component))].filter((component) => safetyOf(component) === undefined);
}

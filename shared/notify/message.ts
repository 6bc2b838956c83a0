// The one message model behind every channel: what, how bad, since when, last good backup, what to run next, where to look.
import type { NotifyEvent } from './events.ts';
import type { Timestamp } from '../step/timestamp.ts';

export type Severity = 'info' | 'warning' | 'critical';

/** What a person is told. No secrets: `deliver` cleans every text once more. */
export interface Message {
  event: NotifyEvent;
  severity: Severity;
  /** What, in one line: `Backup of shop/orders failed`. */
  title: string;
  /** What happened and what to do, a few sentences; lines are separated by `\n`. */
  text: string;
  /** dr.yml's name. */
  name: string;
  component?: string | undefined;
  step?: string;
  at: Date;
  /** Since when it is so: the first failure after the last success. */
  since?: Date | undefined;
  /** The newest verified backup; null when there is none; absent when that could not be found out. */
  lastGoodBackup?: { timestamp: Timestamp; time: Date } | null | undefined;
  /** A command line to run next. */
  next?: string | undefined;
  run: {
    id: string;
    url?: string;
    actor?: string;
    workflow?: string;
  };
}

const SEVERITIES: Record<NotifyEvent, Severity> = {
  succeeded: 'info',
  recovered: 'info',
  cancelled: 'warning',
  refused: 'warning',
  partial: 'warning',
  failed: 'critical',
  alert: 'critical',
};

/** How bad an event is by itself. */
export function severityOf(event: NotifyEvent): Severity {
  return SEVERITIES[event];
}

/** True when a channel that asked for `on` is to be told of the event. A recovery is a success, too. */
export function isWanted(on: readonly NotifyEvent[], event: NotifyEvent): boolean {
  return on.includes(event) || (event === 'recovered' && on.includes('succeeded'));
}

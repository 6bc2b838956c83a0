// What channels can be told of.

/** What can be told. `recovered`: a success after a failure; `alert`: the status turned bad without any run, such as a backup that is missing. */
export const NOTIFY_EVENTS = ['succeeded', 'partial', 'failed', 'cancelled', 'refused', 'recovered', 'alert'] as const;
export type NotifyEvent = (typeof NOTIFY_EVENTS)[number];

/** What a channel is told when the file does not say. */
export const DEFAULT_EVENTS: readonly NotifyEvent[] = ['partial', 'failed', 'cancelled', 'recovered', 'alert'];

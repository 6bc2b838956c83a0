// The small interface behind which every channel lives.
import type { Clock } from '../tools/clock.ts';
import type { Message } from './message.ts';

export interface SendOptions {
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
  /** Tries in all; a run that is being cancelled has time for one. Default 3. */
  attempts?: number;
}

/** A place where messages go. Methods throw UserError saying what the other side answered; never an address that is a secret. */
export interface Channel {
  /** How warnings call it: the kind and the host. */
  readonly label: string;
  /** @throws UserError */
  send(message: Message, options?: SendOptions): Promise<void>;
  /** Says that work begins, where the other side wants to know. @throws UserError */
  start?(options?: SendOptions): Promise<void>;
}

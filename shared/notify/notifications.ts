// All channels of a dr.yml together: opened once, told at the same time, each failing on its own.
import { errorMessage, isDefect, UserError } from '../step/errors.ts';
import type { Masker } from '../step/masking.ts';
import type { Clock } from '../tools/clock.ts';
import type { Channel, SendOptions } from './channel.ts';
import { isWanted, type Message } from './message.ts';
import { DEFAULT_EVENTS, type NotifyEvent } from './events.ts';
import { openChannel, traitsOf, type ChannelEntry } from './open.ts';

/** Nothing takes longer in all, retries included: a backup that is done must not wait for a chat. */
const DEADLINE_MS = 30_000;
/** A run that was cancelled is killed seconds later. */
const CANCELLED_DEADLINE_MS = 4000;

export interface OpenNotificationsOptions {
  masker: Masker;
  /** Told of every channel that cannot be used or did not take a message. */
  warn: (message: string) => void;
  clock?: Clock | undefined;
}

interface OpenedChannel {
  channel: Channel;
  entry: ChannelEntry;
}

/** What a message is about, beside its own fields. */
export interface TellOptions {
  /** True for the run of a backup: the heartbeats' business. */
  beat?: boolean;
  /** True when the run was cancelled: there is little time. */
  cancelled?: boolean;
}

/** The channels of a dr.yml, each resolved when it is asked for. */
export interface ConfiguredChannels {
  channels(): readonly ChannelEntry[];
  channel(index: number): Promise<ChannelEntry>;
}

export class Notifications {
  readonly #channels: readonly OpenedChannel[];
  readonly #options: OpenNotificationsOptions;
  #starting: Promise<unknown> = Promise.resolve();

  constructor(channels: readonly OpenedChannel[], options: OpenNotificationsOptions) {
    this.#channels = channels;
    this.#options = options;
  }

  /** Opens channels. One whose secret is missing is a warning; the others are told all the same. */
  static async open(
    entries: Iterable<ChannelEntry | (() => Promise<ChannelEntry>)>,
    options: OpenNotificationsOptions,
  ): Promise<Notifications> {
    const channels: OpenedChannel[] = [];
    for (const given of entries) {
      try {
        const entry = typeof given === 'function' ? await given() : given;
        for (const secret of [entry.url, 'secret' in entry ? entry.secret : undefined])
          if (secret !== undefined) hide(options.masker, entry, secret);
        channels.push({ channel: await openChannel(entry), entry });
      } catch (thrown) {
        options.warn(`A channel of notify cannot be used. ${said(thrown)}`);
      }
    }
    return new Notifications(channels, options);
  }

  /** The channels of a dr.yml. */
  static async ofConfig(config: ConfiguredChannels, options: OpenNotificationsOptions): Promise<Notifications> {
    return Notifications.open(
      config.channels().map((_entry, index) => () => config.channel(index)),
      options,
    );
  }

  get size(): number {
    return this.#channels.length;
  }

  /** True when a channel wants to know of such an event: when none does, nothing has to be found out. */
  wants(event: NotifyEvent, component: string | undefined, options: TellOptions = {}): boolean {
    return this.#for(event, component, options).length > 0;
  }

  /** Tells the heartbeats that a backup begins. Does not wait: the work goes on meanwhile. */
  begin(component: string | undefined): void {
    const beating = this.#channels.filter(({ channel, entry }) => channel.start !== undefined && isAbout(entry, component));
    this.#starting = Promise.all(beating.map(({ channel }) => this.#attempt(channel, (options) => channel.start?.(options))));
  }

  /** Tells every channel that wants to know, at the same time. Never throws. @returns labels of those that were told, and what went wrong with the others */
  async tell(message: Message, options: TellOptions = {}): Promise<{ told: string[]; problems: string[] }> {
    // The end of a run must not overtake its beginning.
    await this.#starting;
    const cleaned = cleanMessage(message, this.#options.masker);
    const to = this.#for(message.event, message.component, options);
    const problems = await Promise.all(to.map(({ channel }) => this.#attempt(channel, (send) => channel.send(cleaned, send), options)));
    return {
      told: to.filter((_channel, index) => problems[index] === undefined).map(({ channel }) => channel.label),
      problems: problems.filter((problem) => problem !== undefined),
    };
  }

  #for(event: NotifyEvent, component: string | undefined, { beat = false }: TellOptions): OpenedChannel[] {
    return this.#channels.filter(({ entry }) => {
      if (!isAbout(entry, component)) return false;
      return traitsOf(entry.kind).beats ? beat : isWanted(('on' in entry ? entry.on : undefined) ?? DEFAULT_EVENTS, event);
    });
  }

  async #attempt(
    channel: Channel,
    send: (options: SendOptions) => Promise<void> | undefined,
    { cancelled = false }: TellOptions = {},
  ): Promise<string | undefined> {
    const { clock, warn } = this.#options;
    const signal = AbortSignal.timeout(cancelled ? CANCELLED_DEADLINE_MS : DEADLINE_MS);
    try {
      await send({ signal, clock, ...(cancelled ? { attempts: 1 } : {}) });
      return undefined;
    } catch (thrown) {
      const problem = this.#options.masker.clean(`The notification through ${channel.label} did not go out. ${said(thrown)}`);
      warn(problem);
      return problem;
    }
  }
}

function isAbout({ components }: ChannelEntry, component: string | undefined): boolean {
  return components === undefined || component === undefined || components.includes(component);
}

/** Parts of an address as long as this are tokens, which a service may repeat by themselves in what it answers. */
const TOKEN_LENGTH = 16;

/** The path of such an address is its secret; its host may be shown. */
function hide(masker: Masker, entry: ChannelEntry, secret: string): void {
  masker.add(secret);
  if (traitsOf(entry.kind).mail || !URL.canParse(secret)) return;
  const { pathname, search, searchParams } = new URL(secret);
  for (const part of [pathname + search, pathname]) if (part.length > 8) masker.add(part);
  for (const part of [...pathname.split('/'), ...searchParams.values()]) if (part.length >= TOKEN_LENGTH) masker.add(part);
}

/** Every text without secrets, wherever it came from. */
function cleanMessage(message: Message, masker: Masker): Message {
  const clean = (text: string): string => masker.clean(text);
  return {
    ...message,
    title: clean(message.title),
    text: clean(message.text),
    ...(message.next === undefined ? {} : { next: clean(message.next) }),
    run: Object.fromEntries(Object.entries(message.run).map(([key, value]) => [key, clean(value)])) as Message['run'],
  };
}

function said(thrown: unknown): string {
  if (isDefect(thrown))
    return `This is a defect in Lifeboat. Please report it with this stack: ${(thrown as Error).stack ?? errorMessage(thrown)}`;
  const fix = thrown instanceof UserError && thrown.fix !== undefined ? ` ${thrown.fix}` : '';
  return `${errorMessage(thrown)}${fix}`;
}

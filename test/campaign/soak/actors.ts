// Who does what in one round of the soak: decided by the seed before anybody starts, so that the same seed gives the same round again.
import type { SeededRandom } from '../../dataset/seeded-random.ts';

const ACTIONS = ['backup', 'copy', 'retention', 'validation', 'restore', 'hold', 'release'] as const;
export type Action = (typeof ACTIONS)[number];

export interface Actor {
  action: Action;
  /** When it starts, milliseconds into the round. */
  startsAfter: number;
  /** When it is killed, milliseconds after its start; undefined: never. */
  killedAfter?: number | undefined;
  /** How far its clock is ahead, milliseconds. */
  clockOffset: number;
}

export interface Round {
  number: number;
  actors: readonly Actor[];
  /** The store has a bad time: from when on, and for how long, milliseconds. */
  away?: { after: number; milliseconds: number } | undefined;
  /** The locks of killed runs end before the next round, instead of a minute later. */
  locksEnd: boolean;
}

const HOUR_MS = 3_600_000;
const MOST_ACTORS = 5;

/** Decides one round. There is always a backup in it: without new ones, retention soon has nothing to do. */
export function decideRound(number: number, random: SeededRandom): Round {
  const actions: Action[] = ['backup', ...Array.from({ length: 2 + random.below(MOST_ACTORS - 2) }, () => random.pick(ACTIONS))];
  const wrongClock = random.below(actions.length);
  const actors = actions.map((action, index) => ({
    action,
    startsAfter: random.below(1200),
    killedAfter: random.chance(0.4) ? 200 + random.below(1800) : undefined,
    clockOffset: index === wrongClock ? (random.chance(0.5) ? HOUR_MS : -HOUR_MS) : 0,
  }));
  const away = random.chance(0.3) ? { after: 300 + random.below(1500), milliseconds: 1000 + random.below(4000) } : undefined;
  return { number, actors, away, locksEnd: random.chance(0.8) };
}

/** For a log: what a round was about to do. */
export function roundText({ number, actors, away, locksEnd }: Round): string {
  const words = actors.map(({ action, startsAfter, killedAfter, clockOffset }) => {
    const clock = clockOffset === 0 ? '' : `, clock ${clockOffset > 0 ? '+' : '-'}1 h`;
    return `${action} at ${startsAfter} ms${killedAfter === undefined ? '' : `, killed after ${killedAfter} ms`}${clock}`;
  });
  const store = away ? [`store away at ${away.after} ms for ${away.milliseconds} ms`] : [];
  return `round ${number}: ${[...words, ...store, ...(locksEnd ? [] : ['locks last'])].join('; ')}`;
}

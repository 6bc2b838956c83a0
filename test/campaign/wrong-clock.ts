// A wall clock that is wrong for the whole process, as on a machine whose time was set: everything that asks for the time gets the wrong one.
// Loaded before a program (`node --import …/wrong-clock.ts`), it sets the clock of that process by LIFEBOAT_CLOCK_OFFSET_MS.

/** Sets the clock `offset` milliseconds ahead. Timers and `performance.now()` go on as they were, as they do on a real machine. @returns what puts it right */
function setClock(offset: number): () => void {
  const TrueDate = globalThis.Date;
  class WrongDate extends TrueDate {
    constructor(...args: unknown[]) {
      if (args.length === 0) super(TrueDate.now() + offset);
      else super(...(args as [number]));
    }

    static override now(): number {
      return TrueDate.now() + offset;
    }
  }
  globalThis.Date = WrongDate as DateConstructor;
  return () => {
    globalThis.Date = TrueDate;
  };
}

/** Runs `work` with the clock `offset` milliseconds ahead. */
export async function withWrongClock<T>(offset: number, work: () => Promise<T>): Promise<T> {
  const putRight = setClock(offset);
  try {
    return await work();
  } finally {
    putRight();
  }
}

const offset = Number(process.env['LIFEBOAT_CLOCK_OFFSET_MS'] ?? 0);
if (offset !== 0) setClock(offset);

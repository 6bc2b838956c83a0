// A wall clock that is wrong for the whole process, as on a machine whose time was set: everything that asks for the time gets the wrong one.

/** Runs `work` with the clock `offset` milliseconds ahead. Timers and `performance.now()` go on as they were, as they do on a real machine. */
export async function withWrongClock<T>(offset: number, work: () => Promise<T>): Promise<T> {
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
  try {
    return await work();
  } finally {
    globalThis.Date = TrueDate;
  }
}

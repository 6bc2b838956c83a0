// How many requests go to an API server at a time: more while it answers well, half as many when it asks for less.

const FIRST = 8;
const MOST = 24;

/** A limit that adapts. `slower` is told each time the server asks to wait (429). */
export class Throttle {
  #limit = FIRST;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  get limit(): number {
    return Math.floor(this.#limit);
  }

  slower(): void {
    this.#limit = Math.max(1, this.#limit / 2);
  }

  /** Runs a task as soon as there is room. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    while (this.#running >= this.limit) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.#running += 1;
    try {
      const result = await task();
      this.#limit = Math.min(MOST, this.#limit + 1 / this.#limit);
      return result;
    } finally {
      this.#running -= 1;
      // A task that wakes up and finds no room waits again.
      for (let free = this.limit - this.#running; free > 0 && this.#waiting.length > 0; free -= 1) this.#waiting.shift()?.();
    }
  }

  /** Runs a task for each item, and gives the results in their order. */
  async all<A, B>(items: readonly A[], task: (item: A) => Promise<B>): Promise<B[]> {
    return Promise.all(items.map((item) => this.run(() => task(item))));
  }
}

// Faults on demand: what a real vault does on a bad day, aimed at single operations.

export type Effect =
  /** 429 with Retry-After in seconds, as Key Vault throttles. */
  | { kind: 'throttle'; retryAfter?: number }
  /** Any 5xx. */
  | { kind: 'unavailable'; status?: 500 | 502 | 503 | 504 }
  /** Answers late. */
  | { kind: 'delay'; ms: number }
  /** The connection breaks before anything is done. */
  | { kind: 'cut' }
  /** The work is done, then the connection breaks: the client cannot know. */
  | { kind: 'answerLost' }
  /** The work is done, then the connection breaks after half of the answer's body. */
  | { kind: 'cutAnswer' }
  /** 403 of the vault's firewall. */
  | { kind: 'firewall' }
  /** 401 with a claims challenge, as after a revocation (continuous access evaluation). */
  | { kind: 'revoked' };

export interface Fault<E = Effect> {
  /** `secrets/set`, `keys/unwrapKey`, …; all operations when absent. */
  operation?: string;
  /** How often; for ever with Infinity. Default 1. */
  times?: number;
  effect: E;
}

/** The faults that wait for a request. Earlier ones come first. */
export class Faults<E = Effect> {
  #waiting: { fault: Fault<E>; left: number }[] = [];

  add(fault: Fault<E>): void {
    this.#waiting.push({ fault, left: fault.times ?? 1 });
  }

  clear(): void {
    this.#waiting = [];
  }

  /** Takes the fault that is due for an operation, if any. */
  take(operation: string): E | undefined {
    const due = this.#waiting.find(({ fault }) => fault.operation === undefined || fault.operation === operation);
    if (!due) return undefined;
    due.left -= 1;
    if (due.left <= 0) this.#waiting = this.#waiting.filter((one) => one !== due);
    return due.fault.effect;
  }
}

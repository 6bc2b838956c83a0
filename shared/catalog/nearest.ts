// Which of a backup's copies to read: the nearest one that is good, and why the others were passed over. One copy serves a whole reading:
// bytes of two are never mixed.
import { CancelledError, UserError, VerificationError } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import { StoreError } from '../stores/errors.ts';
import { reasonText, type CatalogPlace, type Everywhere } from './everywhere.ts';
import { stateText } from './known.ts';
import type { BackupState, ListedBackup } from './list.ts';

/** A copy of the backup that may be good. */
export interface Candidate {
  place: CatalogPlace;
  listed: ListedBackup;
}

/** A store that was not used, and why, in the middle of a sentence. */
export interface PassedOver {
  label: string;
  reason: string;
  /** What is wrong with one that is damaged, after `it`. */
  damage?: string | undefined;
}

const UNUSABLE: Partial<Record<BackupState, string>> = {
  leftover: 'has no manifest of it',
  damaged: 'has lost its data or a part of it',
  pruning: 'is removing it',
};

/** Behind every copy of which nothing bad is known. */
const FOUND_BAD = 6;

export class Copies {
  readonly component: string;
  readonly timestamp: Timestamp;
  /** Why each store that was not used was not. */
  readonly passed: PassedOver[] = [];
  readonly #queue: Candidate[];
  /** The store that would be read if nothing were wrong. */
  readonly #wanted: string;
  readonly #failures: UserError[] = [];

  /** @param only the label of the one store to read from */
  constructor({ home, seen, unseen }: Everywhere, component: string, timestamp: Timestamp, only?: string) {
    this.component = component;
    this.timestamp = timestamp;
    this.#wanted = only ?? home;
    const allowed = (label: string): boolean => only === undefined || label === only;
    for (const { label, problem } of unseen) if (allowed(label)) this.passed.push({ label, reason: reasonText(problem) });
    const found: Candidate[] = [];
    for (const { place, backups } of seen) {
      if (!allowed(place.label)) continue;
      const listed = backups.find((backup) => backup.timestamp === timestamp);
      const unusable = listed === undefined ? 'does not have it' : listed.found === undefined ? UNUSABLE[listed.state] : undefined;
      if (listed && unusable === undefined) found.push({ place, listed });
      else this.passed.push({ label: place.label, reason: unusable ?? '', damage: listed?.damage });
    }
    // A stable sort: where nothing else decides, the order of configuration does.
    this.#queue = found.sort((a, b) => distance(a, home) - distance(b, home));
  }

  /** The copy that is being read. @throws UserError when none is left */
  get current(): Candidate {
    const [first] = this.#queue;
    if (first) return first;
    throw this.#noneLeft();
  }

  /**
   * Reads from the nearest copy; when that fails because of the copy (its store does not answer, its bytes are not what they should be), from
   * the next one. What began on one copy begins anew on the next.
   * @throws UserError when no copy is left, naming what is wrong with each; anything that is not a copy's fault
   */
  async read<T>(attempt: (candidate: Candidate) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (;;) {
      const candidate = this.current;
      try {
        return await attempt(candidate);
      } catch (thrown) {
        if (signal?.aborted || thrown instanceof CancelledError || !isCopysFault(thrown)) throw thrown;
        this.#queue.shift();
        this.#failures.push(thrown);
        this.passed.push({ label: candidate.place.label, reason: reasonText(thrown) });
      }
    }
  }

  /** What a person should know when another store is read than the backups are made in; undefined when it is that one. */
  notice(): string | undefined {
    const { place } = this.current;
    if (place.label === this.#wanted) return undefined;
    const wanted = this.#queue.find((candidate) => candidate.place.label === this.#wanted)?.listed;
    const why = wanted?.found === undefined ? 'has it in the archive tier' : `it was ${stateText(wanted)} there`;
    const reasons = [...(wanted === undefined ? [] : [{ label: this.#wanted, reason: why }]), ...this.passed];
    const sentences = reasons.map(({ label, reason }) => `${label}: ${reason}.`).join(' ');
    const location = place.label === place.store.location ? '' : ` (${place.store.location})`;
    return `${this.component} ${this.timestamp} is read from its copy in ${place.label}${location}. ${sentences}`;
  }

  #noneLeft(): UserError {
    const [only] = this.#failures;
    if (only && this.#failures.length === 1 && this.passed.length === 1) return only;
    const list = this.passed
      .map(({ label, reason, damage }) => `- ${label}: ${reason}${damage === undefined ? '' : ` (it ${damage})`}.`)
      .join('\n');
    const message = `No good copy of ${this.component} ${this.timestamp} is left:\n${list}`;
    const options = { fix: 'Take another backup: list-backups shows them.', cause: new AggregateError(this.#failures) };
    const found = this.#failures.length > 0 || this.passed.some(({ damage }) => damage !== undefined);
    const damaged = found && this.#failures.every((failure) => failure instanceof VerificationError);
    return damaged ? new VerificationError(message, options) : new UserError(message, options);
  }
}

/** What is good before what was found bad, readable before archived, then the backups' own store, then folders, then the rest. */
function distance({ place, listed }: Candidate, home: string): number {
  const found = listed.found === undefined ? 0 : FOUND_BAD;
  return found + (listed.offline === undefined ? 0 : 3) + (place.label === home ? 0 : place.store.kind === 'folder' ? 1 : 2);
}

/** True for what another copy may not have: a store that fails, bytes that are wrong. A vault that fails does so for every copy. */
function isCopysFault(thrown: unknown): thrown is UserError {
  return thrown instanceof StoreError || thrown instanceof VerificationError;
}

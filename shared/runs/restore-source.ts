// What a restore reads from: one copy of the chosen backup, opened, proved, and given up for the next one while nothing is touched yet.
import { openBackup, verifyBackup, type OpenedBackup, type OpenRequest } from '../backup/read.ts';
import { markInUse } from '../catalog/in-use.ts';
import type { Candidate, Copies, PassedOver } from '../catalog/nearest.ts';
import { rehydrationOf } from '../catalog/prediction.ts';
import type { NewInspector } from '../backup/inspector.ts';
import type { StepContext } from '../step/define.ts';
import { RefusedError, VerificationError, type UserError } from '../step/errors.ts';
import type { Timestamp } from '../step/timestamp.ts';
import type { RehydratePriority } from '../stores/store.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import { archivedError, bringBack } from './bring-back.ts';

/** The inputs that say how a backup is read. */
export interface ReadWishes {
  limitRate: number | undefined;
  rehydrate: 'no' | RehydratePriority;
  /** Milliseconds. */
  rehydrateWait: number | undefined;
}

export class RestoreSource {
  readonly recipients: readonly KeyRecipient[];
  readonly #context: StepContext;
  readonly #copies: Copies;
  readonly #wishes: ReadWishes;
  readonly #newInspector: NewInspector;
  /** Archived ones that were brought back. */
  readonly #back = new Set<Candidate>();
  #opened: { of: Candidate; backup: OpenedBackup } | undefined;
  #said: string | undefined;
  #keyTrouble: string | undefined;
  #mark: { of: Candidate; release: () => Promise<void> } | undefined;

  constructor(
    context: StepContext,
    copies: Copies,
    { recipients, newInspector }: { recipients: readonly KeyRecipient[]; newInspector: NewInspector },
    wishes: ReadWishes,
  ) {
    this.#newInspector = newInspector;
    this.#context = context;
    this.#copies = copies;
    this.recipients = recipients;
    this.#wishes = wishes;
  }

  get component(): string {
    return this.#copies.component;
  }

  get timestamp(): Timestamp {
    return this.#copies.timestamp;
  }

  /** The backup as messages call it. */
  get label(): string {
    return `${this.component} ${this.timestamp}`;
  }

  /** The store that is read. */
  get location(): string {
    return this.#copies.current.place.store.location;
  }

  /** Stores that were not read, and why. */
  get passed(): readonly PassedOver[] {
    return this.#copies.passed;
  }

  /** The backup, opened. Call `open` before. */
  get opened(): OpenedBackup {
    if (!this.#opened) throw new Error('the backup was not opened');
    return this.#opened.backup;
  }

  /** Opens the nearest copy that can be opened, and says which it is. @throws as `openBackup`, when no copy is left */
  async open(): Promise<OpenedBackup> {
    const { signal } = this.#context;
    return this.#tell(await this.#copies.read((candidate) => this.#openAt(candidate), signal));
  }

  /**
   * Reads a whole copy and proves it; a damaged one must be known before the target is touched, not in the middle. Then the next one is
   * taken, to its last byte.
   * @throws VerificationError, StoreError as `verifyBackup`, when no copy is left
   */
  async prove(): Promise<void> {
    const { host, signal } = this.#context;
    const read = async (candidate: Candidate): Promise<OpenedBackup> => {
      // The component is locked here: not the time to wait for hours.
      if (this.rehydration !== undefined) throw this.#onlyArchivedLeft(candidate);
      const opened = await this.#openAt(candidate);
      await this.#markInUse(candidate);
      const total = opened.manifest.sizes.stored;
      await verifyBackup({
        ...this.#request(candidate),
        newInspector: this.#newInspector,
        // Said when it was opened.
        onMetadata: () => undefined,
        onProgress: (done) => {
          host.progress({ phase: 'Proving the backup', done, total, unit: 'bytes' });
        },
      });
      return opened;
    };
    this.#tell(await this.#copies.read(read, signal));
    host.info(`The backup ${this.label} is whole: every byte and document was read.`);
  }

  /** What must pass before the copy can be read; undefined when it can be. */
  get rehydration(): { ms: number; text: string } | undefined {
    const { place, listed } = this.#copies.current;
    const { rehydrate } = this.#wishes;
    return this.#back.has(this.#copies.current)
      ? undefined
      : rehydrationOf(place.store.tiering, listed, rehydrate === 'no' ? 'standard' : rehydrate);
  }

  /** @throws RefusedError when the copy is archived and was not asked for */
  refuseArchived(): void {
    const time = this.rehydration;
    const { place, listed } = this.#copies.current;
    if (time && listed.offline === 'archived' && this.#wishes.rehydrate === 'no')
      throw archivedError({ label: this.label, store: place.store, spell: this.#spell }, time);
  }

  /**
   * Makes an archived copy readable, which may take hours.
   * @returns true when it was not readable before: the target may have changed meanwhile
   * @throws RefusedError as `bringBack`
   */
  async bringBack(): Promise<boolean> {
    const candidate = this.#copies.current;
    if (this.rehydration === undefined) return false;
    const { host, clock, signal } = this.#context;
    const { rehydrate, rehydrateWait = 0 } = this.#wishes;
    // A person who waits for hours wants to find it afterwards.
    await this.#markInUse(candidate);
    const waited = await bringBack({
      ...{ store: candidate.place.store, name: this.opened.names.data, label: this.label, spell: this.#spell, clock, signal },
      priority: rehydrate === 'no' ? undefined : rehydrate,
      waitMs: rehydrateWait,
      onWait: (detail) => {
        host.progress({ phase: 'Waiting for the archive tier', done: 0, total: 1, unit: 'objects', detail });
      },
    });
    this.#back.add(candidate);
    if (waited) host.notice(`${this.label} is back from the archive tier of ${this.location}, and stays readable.`);
    return waited;
  }

  readonly #spell = (name: string): string => this.#context.host.spell(name);

  /** Keeps retention away from the copy that is read, until `release`. */
  async protect(): Promise<void> {
    await this.#copies.read((candidate) => this.#markInUse(candidate), this.#context.signal);
  }

  async release(): Promise<void> {
    await this.#mark?.release();
    this.#mark = undefined;
  }

  async #markInUse(candidate: Candidate): Promise<void> {
    if (this.#mark?.of === candidate) return;
    await this.release();
    const { host, signal } = this.#context;
    const { component, timestamp } = this;
    const onUnmarked = (thrown: UserError): void => {
      host.debug(`Retention is not told that the backup is in use: ${thrown.message}`);
    };
    const use = { component, timestamp, what: 'restored', by: host.run, onUnmarked, signal };
    this.#mark = { of: candidate, release: await markInUse(candidate.place, use) };
  }

  #request({ place }: Candidate): OpenRequest {
    const { component, timestamp, recipients } = this;
    const { store, prefix } = place;
    const { host, signal } = this.#context;
    const onNotice = (message: string): void => {
      // It is opened more than once.
      if (message !== this.#keyTrouble) host.warning(message);
      this.#keyTrouble = message;
    };
    return { store, prefix, component, timestamp, recipients, limitRate: this.#wishes.limitRate, onNotice, signal };
  }

  #onlyArchivedLeft({ place }: Candidate): RefusedError {
    const reasons = this.passed.map(({ label, reason }) => `${label}: ${reason}.`).join(' ');
    return new RefusedError(
      `The only copy of ${this.label} that is left is archived, in ${place.label}. ${reasons} Nothing was restored.`,
      {
        fix: `Run again with ${this.#spell('fromStore')} ${place.label} and ${this.#spell('rehydrate')} standard.`,
      },
    );
  }

  async #openAt(candidate: Candidate): Promise<OpenedBackup> {
    if (this.#opened?.of === candidate) return this.#opened.backup;
    const backup = await openBackup(this.#request(candidate));
    // The plan was made for the first one that was opened: another store may only stand in with the same bytes.
    if (this.#opened && this.#opened.backup.manifest.sha256 !== backup.manifest.sha256) {
      throw new VerificationError(`it holds another backup of that name: its data is not what ${this.#opened.of.place.label} has`);
    }
    this.#opened = { of: candidate, backup };
    const fault = await backup.metadataFault();
    // What is restored comes from the manifest and the data, which it opened with.
    if (fault) this.#context.host.warning(`${fault.message} ${fault.fix ?? ''}`);
    return backup;
  }

  #tell(opened: OpenedBackup): OpenedBackup {
    const notice = this.#copies.notice();
    if (notice !== undefined && notice !== this.#said) this.#context.host.notice(notice);
    this.#said = notice;
    return opened;
  }
}

// The small interface behind which every kind of store lives: named objects with metadata, written once, listed, locked.

/** What a store knows of an object without reading it. */
export interface ObjectInfo {
  /** Name within the store, `/`-separated, never starting with `/`. */
  name: string;
  /** Bytes. */
  size: number;
  modified: Date;
  /** Changes with every write. */
  etag: string;
  /** Keys are lower-case letters and digits; values any printable ASCII. */
  metadata: Readonly<Record<string, string>>;
  /** Why the store will refuse to delete it, where a listing tells: an end in the future, or a hold without one. */
  locked?: Date | 'legal hold';
  /** Where it lies in a store that has tiers. */
  tier?: ObjectTier | undefined;
}

/** The access tier (Azure) or storage class (S3) of an object. */
export interface ObjectTier {
  /** As the service writes it, in lower case: `hot`, `archive`, `deep_archive`. */
  name: string;
  /** Since when, where the service tells; for an early deletion. */
  since?: Date | undefined;
  /** True for the service's own default, which no one chose. */
  inferred?: boolean;
  /** Not readable before it is rehydrated, or while that is under way. */
  offline?: 'archived' | 'rehydrating' | undefined;
}

/** How urgently an archived object is brought back; the faster, the dearer. */
export type RehydratePriority = 'standard' | 'high';

/** What stores with tiers can do. */
export interface Tiering {
  /** The tier that backups' data is moved to once it is proved; undefined: it stays where it was written. */
  readonly target: string | undefined;
  /** Moves an object to the target tier; nothing when there is none or it is gone. @throws StoreError */
  settle(name: string, signal?: AbortSignal): Promise<void>;
  /** Begins to bring an archived object back; one that is on its way already may become more urgent. @throws StoreError */
  rehydrate(name: string, priority: RehydratePriority, signal?: AbortSignal): Promise<void>;
  /** The longest that it should take, in milliseconds, and what the service says about it. */
  rehydrationTime(tier: string, priority: RehydratePriority, bytes: number): { ms: number; text: string };
}

export interface WriteOptions {
  /** Fails with ObjectExistsError when the name is taken (If-None-Match). */
  ifAbsent?: boolean;
  /** A function is called once, after the last byte: for facts that are known only then. */
  metadata?: Record<string, string> | (() => Record<string, string>);
  contentType?: string;
  signal?: AbortSignal | undefined;
}

/** An upload that may go on where an earlier one of the same bytes, in another run, was interrupted. */
export interface Resumption {
  /** Which bytes these are: equal for equal bytes only, such as their SHA-256. */
  identity: string;
  /** The rest of the stream from a byte on; called once, instead of the source, when there is something to go on from. */
  from: (offset: number) => AsyncIterable<Uint8Array>;
}

export interface PutOptions extends WriteOptions {
  /**
   * For a source that can be read again. What was sent stays when the store fails or the run is cancelled or killed; `sweep` drops it. Stores
   * that cannot keep it begin anew. The service has checked the parts on arrival; that they are the right ones, reading back must show.
   */
  resume?: Resumption;
  /** Expected bytes; block sizes are chosen from it. An estimate: being wrong by a factor of ten must not fail. */
  sizeEstimate?: number | undefined;
  /** Bytes safely handed to the store so far. */
  onProgress?: (bytes: number) => void;
}

export interface ReadOptions {
  /** First byte, 0-based. */
  offset?: number;
  /** Number of bytes; to the end when absent. */
  length?: number;
  /** Each piece is valid only until the next one is asked for: a store may then use its buffers again. */
  reuse?: boolean;
  signal?: AbortSignal | undefined;
}

export interface LockOptions {
  /** Who holds it, shown to a run that is refused: run id, host, step. */
  owner: string;
  /** The lock is free for others when its holder has not renewed it for so many milliseconds. Renewed by itself meanwhile. */
  expiresAfter: number;
  /**
   * The holder may go on after the store was away for longer than the expiry, for as long as the store is waited for, when no other run took the
   * lock meanwhile. For work that does no harm when two do it for a moment.
   */
  resumable?: boolean;
  /** Told when an expired lock of another run was taken over. */
  onTakeover?: (previousOwner: string) => void;
  signal?: AbortSignal | undefined;
}

export interface Lock {
  /** Aborted when the lock was lost: another run has it, or the store was away for longer than the expiry (and its patience, if resumable). */
  readonly lost: AbortSignal;
  /** Gives it back; safe to call twice. */
  release(): Promise<void>;
}

/** Room in a store, in bytes. */
export interface StoreSpace {
  total: number;
  /** What this process may still fill. */
  free: number;
}

/**
 * A store. Every method throws StoreError (a UserError) naming the store, the object and the cause; a missing object is
 * `undefined` or ObjectMissingError as stated. Names are checked: no empty, `.` or `..` segment, no control character.
 */
export interface Store {
  /** `azure-blob`, `folder`, … */
  readonly kind: string;
  /** Where it is, for people and records; no secrets. An address that opens the same store again. */
  readonly location: string;
  /**
   * Streams an object of unknown size into the store. Nothing is visible under the name before the last byte is safe. A piece of the source
   * need not stay valid longer than until the next one is asked for.
   */
  put(name: string, source: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<ObjectInfo>;
  /** Writes a small object whole. */
  write(name: string, bytes: Uint8Array, options?: WriteOptions): Promise<ObjectInfo>;
  /** Reads a small object whole; undefined when there is none. `maxBytes` guards memory (default 64 MiB). */
  read(name: string, options?: { maxBytes?: number; signal?: AbortSignal | undefined }): Promise<Uint8Array | undefined>;
  stat(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>;
  /** Replaces the metadata of an object; its bytes stay. @throws ObjectMissingError; StoreError */
  setMetadata(name: string, metadata: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<void>;
  /**
   * Streams an object's bytes in order. Ranges are fetched ahead in parallel where that helps; every byte is delivered or it throws.
   * @throws ObjectMissingError; StoreError when the object changed while it was read
   */
  open(name: string, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** Lists by prefix in name order, with metadata. Uncommitted or temporary objects are not shown. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>;
  /** Deletes; false when it was not there. */
  delete(name: string, signal?: AbortSignal): Promise<boolean>;
  /**
   * Takes a lock or refuses at once.
   * @throws LockedError with owner and expiry when another run holds it
   */
  lock(name: string, options: LockOptions): Promise<Lock>;
  /** Removes what interrupted writes older than `olderThan` left behind (temporary files, uncommitted blocks). Returns how many. */
  sweep(prefix: string, olderThan: Date, signal?: AbortSignal): Promise<number>;
  /** How much room there is; undefined when it cannot be known. Absent: such stores have no end (a cloud's object storage). */
  space?(): Promise<StoreSpace | undefined>;
  /** It lies in a folder of a disk. While that is not mounted the folder is empty, and looks like a new store. */
  readonly onDisk?: true;
  /** A cloud service: several installations can reach it, and it never looks empty by mistake. */
  readonly isService?: true;
  /** Access tiers; absent where everything is always readable. */
  readonly tiering?: Tiering;
}

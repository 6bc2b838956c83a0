// What a caller hands to `writeBackup`, and what it gets back.
import type { Timestamp } from '../step/timestamp.ts';
import type { Store } from '../stores/store.ts';
import type { Clock } from '../tools/clock.ts';
import type { KeyRecipient } from '../vaults/vault.ts';
import type { Compression } from './frames.ts';
import type { NewInspector } from './inspector.ts';
import type { JsonValue } from './json.ts';
import type { BackupNames } from './layout.ts';
import type { Place } from './place.ts';
import type { Consistency, Manifest, SourceFacts, VerifyLevel } from './manifest.ts';

/** What only the caller knows of a backup. */
export interface BackupFacts {
  source: SourceFacts;
  consistency: Consistency;
  /** Why the content is doubtful, one sentence each: no documents, a shrink. Such a backup is kept and listed as `suspect`. */
  suspect?: string[];
}

export interface BackupProgress {
  phase: 'Writing' | 'Reading back';
  /** Plain bytes while writing, stored bytes while reading back. */
  done: number;
  total?: number | undefined;
  unit: 'bytes';
}

export interface BackupRequest<R extends JsonValue = JsonValue> {
  store: Store;
  /** Folder in the store; '' for none. */
  prefix: string;
  component: string;
  /** What kind of thing this is: the name of a ComponentKind */
  kind: string;
  /** Now when absent, or the next second that no backup of the component has. */
  timestamp?: Timestamp | undefined;
  /** Told the timestamp once it is settled, before anything is written. */
  onTimestamp?: ((timestamp: Timestamp) => void) | undefined;
  /** Who can open it. The first is the one Microsoft's SDKs see. */
  recipients: readonly KeyRecipient[];
  /** The plain bytes. Not touched before the lock is held and the key is safe; told to end (`return`) when something else fails. */
  source: AsyncIterable<Uint8Array>;
  newInspector: NewInspector<R>;
  /** A function is called when the content is known and proved. */
  facts: BackupFacts | ((content: R) => BackupFacts | Promise<BackupFacts>);
  /** Program → version, Lifeboat's own included; Node and zstd are added. */
  tools: Readonly<Record<string, string>>;
  /** zstd level 3 when absent. */
  compression?: Compression;
  /** `full` when absent. */
  verify?: VerifyLevel;
  /** Expected plain bytes, for progress and block sizes. */
  sizeEstimate?: number | undefined;
  /** Stored bytes per second, at most, both ways; unlimited when absent. */
  limitRate?: number | undefined;
  /** Who holds the component's lock: run id, host, step. */
  owner: string;
  /** Milliseconds to wait for another run that is at work on the component; refused at once when absent. */
  lockWait?: number | undefined;
  /** Other stores that may hold copies: keys of leftovers stay while one of them has the data, and while not all of them are known. */
  copies?: readonly Place[] | 'unknown';
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: BackupProgress) => void;
  /** Something a person should know that does not stop the run. */
  onNotice?: (message: string) => void;
}

export interface BackupPhase {
  name: 'preparing' | 'keys' | 'writing' | 'reading back' | 'committing';
  seconds: number;
  /** Plain bytes handled; 0 where none are. */
  bytes: number;
}

export interface BackupResult {
  component: string;
  timestamp: Timestamp;
  /** Names of the objects in the store. */
  names: BackupNames;
  manifest: Manifest;
  phases: BackupPhase[];
  /** Leftovers of interrupted runs that were removed. */
  leftoversRemoved: number;
}

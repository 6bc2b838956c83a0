// What is known of one component's backups and of their copies.
import type { ListedBackup } from '../catalog/list.ts';
import type { ListedRun } from '../catalog/runs.ts';
import type { LongLivedKey } from './keys.ts';

/** A component's backups in the store they go to. */
export interface ComponentFacts {
  component: string;
  kind: string | undefined;
  /** The store's name. */
  store: string;
  /** Oldest first; without leftovers, and without those dated ahead: they would hide for long that nothing new comes. */
  backups: readonly ListedBackup[];
  /** Backups that a wrong clock has dated ahead of now. */
  ahead: readonly ListedBackup[];
  /** Data without a manifest: interrupted runs, or one at work. */
  leftovers: readonly ListedBackup[];
  /** Runs about this component, or about several at once; oldest first. */
  runs: readonly ListedRun[];
  /** Why the last backup failed, where the last one did and its record says it. */
  lastError?: string | undefined;
  /** True when dr.yml names it. */
  expected: boolean;
  schedule?: string | undefined;
  rpoMs?: number | undefined;
  /** Stores that are to hold copies of it. */
  copies: readonly CopyFacts[];
  keys: readonly LongLivedKey[];
}

export interface CopyFacts {
  /** The store's name. */
  store: string;
  /** The newest backup that is there whole; undefined when there is not a single one. */
  newest: ListedBackup | undefined;
  /** Copies that are damaged, or that no key opens. */
  bad: readonly ListedBackup[];
  /** Timestamps of the copies that are whole and not doubtful. */
  good?: readonly string[] | undefined;
}

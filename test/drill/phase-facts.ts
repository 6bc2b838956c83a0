// What the drill knows of its phases: their plan, how they went, and what a phase's work may tell. Board, views and report speak in these words.
import type { Progress } from '../../shared/step/host.ts';

/** `late`: done and right, but over its budget. `skipped`: an earlier phase failed, or it was not needed. */
export type PhaseVerdict = 'passed' | 'late' | 'failed' | 'refused' | 'cancelled' | 'skipped';

/** `recovered` only when every digest, count and index was proved equal; that is for the drill to say. */
export type DrillVerdict = 'recovered' | 'refused' | 'failed' | 'cancelled';

export interface PhasePlan {
  /** Short and unique, such as `restore`. */
  name: string;
  /** What it does, for people: `Restore the backup`. */
  title: string;
  /** The time it may take. */
  budgetSeconds: number;
}

export interface PhaseMeasures {
  /** Bytes of plain data that went through. */
  bytes?: number;
  documents?: number;
}

/** One row of `--json`, of the table and of the page. */
export interface PhaseResult extends PhasePlan, PhaseMeasures {
  verdict: PhaseVerdict;
  /** From the start of the drill to the start of the phase. */
  startSeconds: number;
  seconds: number;
  /** Why it failed or was skipped; what it found. One sentence. */
  note?: string;
}

/** The whole drill, as `--json` prints it. */
export interface DrillResult {
  verdict: DrillVerdict;
  /** ISO 8601, UTC. */
  startedAt: string;
  seconds: number;
  /** Sum of all budgets: the recovery time objective that was tried. */
  budgetSeconds: number;
  phases: PhaseResult[];
}

/** A phase as a view sees it, at any moment. */
export interface PhaseState extends PhasePlan, PhaseMeasures {
  state: 'waiting' | 'running' | PhaseVerdict;
  startSeconds: number;
  seconds: number;
  note?: string;
  progress?: Progress;
}

/** What a phase's work may tell while it runs. */
export interface PhaseRun {
  /** How far it is; can be given to a host or a load as it is. */
  progress(update: Progress): void;
  /** What went through; may be called more than once, the last values count. */
  measured(measures: PhaseMeasures): void;
  /** One sentence for the table and the page. */
  note(text: string): void;
}

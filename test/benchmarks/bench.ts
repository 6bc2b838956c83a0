// What every group of rows is given: its input, a folder, and how often to measure.
import type { Measured, RowName } from './rows.ts';

export interface Bench {
  /** The archive's file. */
  archive: string;
  /** Its bytes. */
  bytes: number;
  /** Empty; removed at the end. */
  folder: string;
  rounds: number;
  wanted: ReadonlySet<RowName>;
  say: (line: string) => void;
}

/** Measures the wanted ones of its rows. */
export type Group = (bench: Bench) => Promise<Partial<Record<RowName, Measured>>>;

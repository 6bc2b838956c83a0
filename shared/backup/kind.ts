// A kind of protected thing: all that the rest of the house knows of it. What is light is for definitions, schema and help; `load` brings
// the rest when a step needs it.
import type { z } from 'zod';
import type { InputSpecs, InputValues, Spell, StepContext } from '../step/define.ts';
import { VerificationError } from '../step/errors.ts';
import type { Progress } from '../step/host.ts';
import type { Secret } from '../step/input.ts';
import type { Check } from './finding.ts';
import type { Inspector } from './inspector.ts';
import type { JsonValue } from './json.ts';
import type { KindInit } from './kind-init.ts';
import type { Consistency, Manifest, SourceFacts } from './manifest.ts';

/** What people read of a step that is built from a kind. */
export interface StepWords {
  /** Kebab-case. */
  name: string;
  /** At most 40 characters. */
  title: string;
  summary: string;
  description: string;
  examples: { what: string; args: string }[];
}

/** The spelling of a step's own inputs as that of any input: a kind names its own. */
export function anySpelling(spell: (name: never) => string): Spell {
  return spell as Spell;
}

/** What people read of backups that other tools made. */
export interface OldWords {
  /** Sentences: what is read. */
  reads: string;
  /** The name of such a file. */
  example: string;
  examples: StepWords['examples'];
}

/** A kind. `K` its name, `S` its own keys of dr.yml, `I` its inputs, `R` the report that is its manifests' content. */
export interface ComponentKind<
  K extends string = string,
  S extends z.ZodRawShape = z.ZodRawShape,
  I extends InputSpecs = InputSpecs,
  T extends InputSpecs = InputSpecs,
  R extends JsonValue = JsonValue,
> {
  /** As dr.yml, manifests and metadata have it. */
  readonly kind: K;
  /** In titles and headings. */
  readonly noun: string;
  /** What a backup is compared with: `database`. */
  readonly thing: string;
  /** One sentence for dr.yml's schema. */
  readonly about: string;
  /** What is counted in it, in the plural: `documents`. It is also the name of the steps' output. */
  readonly unit: string;
  /** Its own keys of dr.yml; `kind`, `store`, `copies`, `retention` and the others are added for every kind. */
  shape(): Promise<S>;
  /** Where the thing is, and what of it. */
  readonly inputs: I;
  /** Inputs that a command repeats, because they say where the thing is and are no secret. */
  readonly address?: readonly (keyof I & string)[];
  /** What else a restore may be told: other names, another place. */
  readonly targetInputs?: T;
  /** What else a comparison may be told; of the same names as `targetInputs`. */
  readonly compareInputs?: InputSpecs;
  /** Rules across its inputs. @param needed false in a step that can do without the thing */
  check?(inputs: Partial<InputValues<I>>, spell: Spell, needed: boolean): string[];
  /** Rules across what a restore is told. */
  checkTarget?(inputs: Partial<InputValues<T>> & { rollback?: boolean }, spell: Spell): string[];
  /** The words of its steps; `compare` goes with `differences`, `shrink` ends the sentence of `max-shrink`, `replace` is that of the input. */
  readonly steps: { backup: StepWords; restore?: StepWords; compare?: StepWords; shrink: string; replace?: string };
  /** Old names of the words that outputs and records have for a restore's and a backup's groups: `collections`. */
  readonly groups: string;
  /** Words that people know for it and for its tools; they lead to its steps. */
  readonly words?: { thing: readonly string[]; backup: readonly string[]; restore: readonly string[] };
  /** What `import-backup` says of backups that other tools made; goes with `openOld`. */
  readonly old?: OldWords;
  /** kubectl's login reaches it: a pipeline signs in to the cluster first. What is to be done in the cluster, one sentence each. */
  readonly cluster?: readonly string[];
  /** What `lifeboat init` asks. Without it the keys of dr.yml that cannot be left out. */
  readonly init?: KindInit;
  load(): Promise<KindWork<I, T, R>>;
}

/** The heavy half of a kind. */
export interface KindWork<I extends InputSpecs = InputSpecs, T extends InputSpecs = InputSpecs, R extends JsonValue = JsonValue> {
  /** Verifies the plain stream; its report is the manifest's content. */
  newInspector(this: void): Inspector<R>;
  /** What a call selects of the thing; backups of another selection are not compared. Goes into the manifest's source. */
  selection(this: void, context: StepContext<I>): Record<string, JsonValue | undefined>;
  /** What is about to be backed up. */
  openSource(this: void, context: StepContext<I>): Promise<Source<R>>;
  /** Looks at where a backup is restored to. */
  openTarget?(this: void, context: StepContext<I & T>, request: TargetRequest<R>): Promise<Target<R>>;
  /** Compares a backup with the living thing. @param read its plain stream, for a kind whose report alone does not tell enough */
  compare?(this: void, context: StepContext<I & T>, report: R, read: ReadPlain): Promise<Compared>;
  /** What changed from an older state to a newer one. @param newer absent for the living thing */
  differences?(this: void, context: StepContext<I>, older: ReadPlain, newer: ReadPlain | undefined): Promise<Differences>;
  /**
   * What `doctor` looks at.
   * @param lookUp what dr.yml says below the component; throws UserError when that cannot be had: a finding, not the end of all checks
   */
  checks(this: void, context: StepContext<I>, lookUp: (path: string) => Promise<string | undefined>): Promise<KindChecks>;
  /** Why a backup is doubtful; empty when it is not. */
  doubts(this: void, report: R, previous: R | undefined, limits: { maxShrinkPercent: number }): string[];
  count(this: void, report: R): Count;
  /** How its plain stream is known without a manifest, and the command of its own tools that restores a file of it. */
  readonly plain?: { magic: Uint8Array; restoreWith(this: void, path: string): readonly string[] };
  /** Opens a backup that another tool made. @throws UserError when it is none of this kind; VerificationError when it is damaged */
  openOld?(this: void, path: string, unlock: { passphrase?: Secret | undefined; iterations: number }): Promise<OldBackup<R>>;
  /** Names of what is restored, as `makes` of a target has them. */
  names(this: void, report: R): readonly string[];
  /** The folded table of a backup's page. */
  details(this: void, report: R): Table;
  /**
   * For kinds whose data lies outside of the store: disk snapshots, secrets of a vault. Retention removes it as one unit with the manifest
   * and the keys, before the manifest; a validation asks what is missing.
   */
  outside?: {
    /** What of it is not there any more, one phrase each. */
    missing(report: R, context: StepContext): Promise<string[]>;
    /** Removes it. Idempotent. */
    forget(report: R, context: StepContext): Promise<void>;
  };
}

/** How much is in a backup. */
export interface Count {
  /** In the plural: `documents`. */
  unit: string;
  units: number;
  groups: number;
  /** One group: `collection`. */
  group: string;
}

export interface Table {
  title: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
}

export type Fact = readonly [label: string, value: string];

/** What is about to be backed up, looked at. Nothing of it is read before the lock is held. */
export interface Source<R extends JsonValue = JsonValue> {
  bytes: AsyncIterable<Uint8Array>;
  /** Plain bytes, about. */
  estimate: number | undefined;
  /** `Dumping … with …`, for the log. */
  said: string;
  notice?: string | undefined;
  /** Program → version. */
  tools: Readonly<Record<string, string>>;
  facts(report: R): { source: SourceFacts; consistency: Consistency };
  /** What it is, for `12 documents in 3 collections of …`; and how consistent. */
  what: string;
  consistency: string;
  doubts: readonly string[];
  close(): Promise<void>;
}

/** A backup that another tool made, looked at. */
export interface OldBackup<R extends JsonValue = JsonValue> {
  /** What the manifest's source says of it. */
  file: OldFile;
  source: Source<R>;
  /** Files in it that are no part of a backup. */
  ignored: readonly string[];
  /** What it has and a restore cannot bring back. One sentence each. */
  lost: readonly string[];
  /** Follows the count of what is in it: `of version 7`. */
  origin(report: R): string;
}

export interface OldFile {
  file: string;
  bytes: number;
  /** Of the file as it was imported, encryption and all. */
  sha256: string;
  /** From the outside in. */
  layers: string[];
}

/** The plain stream of a backup, from its beginning each time. */
export type ReadPlain = () => AsyncIterable<Uint8Array>;

/** How two states differ. */
export interface Differences {
  /** Things that only the newer one has. */
  added: number;
  changed: number;
  removed: number;
  equal: number;
  /** One by one, as far as one reads. Nothing secret is in them. */
  changes: readonly { name: string; what: 'added' | 'changed' | 'removed'; differences: readonly string[] }[];
}

export interface TargetRequest<R extends JsonValue> {
  report: R;
  /** The plain stream of the backup from its beginning, for a kind whose plan needs more than the report. @throws RefusedError when it is archived */
  read: ReadPlain;
  /** Everything that a safety backup holds is put back, whatever the call selects. */
  rollback: boolean;
  replace: boolean;
}

/** One unit that is restored and compared: a collection, an object, a table, a file. */
export interface Row {
  /** Its name where it is now. */
  to: string;
  expected: number;
  /** Undefined when it is not there. */
  found: number | undefined;
  /** `different` is the one that is wrong. */
  verdict: string;
  differences: readonly string[];
  notes: readonly string[];
  /** Number or content of its units is all that differs, as in something that is in use. */
  contentOnly: boolean;
}

export interface Compared {
  /** Identity of what was read, without credentials. */
  fingerprint: string;
  rows: readonly Row[];
  /** Units found. */
  found: number;
  /** For the result. */
  totals: unknown;
}

/** A target that was read back. */
export interface Proof {
  rows: readonly Row[];
  found: number;
  verdict: string;
  /** The sentence of a restore that is not what the backup was; undefined when all is proved. */
  problem: string | undefined;
}

/** Where a backup is restored to, looked at and planned for; nothing is touched before `write`. */
export interface Target<R extends JsonValue = JsonValue> {
  fingerprint: string;
  /** For machines. */
  plan: unknown;
  /** Lines of the plan: the target, what is restored, what stays. */
  facts: readonly Fact[];
  warnings: readonly string[];
  /** What of the target is replaced or in the way, one line each. @param after `replaced` */
  losses(after: string): readonly string[];
  /** @throws RefusedError when something would be replaced and `replace` was not given */
  refuseOccupied(): void;
  /**
   * False for a restore under other names, or into another place: what the component's backups are made of stays as it is.
   * @param source fingerprint of what the backup was made from
   */
  isHome(source: string | undefined): boolean;
  /** What is there and is about to be replaced, as something to back up; undefined when there is nothing. */
  present(): { said: string; selection: Record<string, JsonValue | undefined>; open: () => Promise<Source<R>> } | undefined;
  /** Names that the restore makes anew: a rollback removes them. */
  makes: readonly string[];
  /** @throws UserError when the target fails or refuses */
  write(bytes: AsyncIterable<Uint8Array>, onProgress: (progress: Progress) => void): Promise<{ units: number; notes: readonly string[] }>;
  /** Removes what an earlier restore had made. @returns a sentence about what it has no way to remove */
  remove?(names: readonly string[]): Promise<string | undefined>;
  /** Reads the target back to its end and compares it with the backup. */
  prove(onProgress: (progress: Progress) => void): Promise<Proof>;
  close(): Promise<void>;
}

export interface KindChecks {
  checks: readonly Check[];
  /** Plain bytes of a backup, about; undefined when that cannot be told. */
  estimate(this: void): Promise<number | undefined>;
  close(): Promise<void>;
}

/** Declares a kind. */
export function defineKind<
  const K extends string,
  S extends z.ZodRawShape,
  const I extends InputSpecs,
  const T extends InputSpecs,
  R extends JsonValue,
>(kind: ComponentKind<K, S, I, T, R>): ComponentKind<K, S, I, T, R> {
  return kind;
}

/** The report of a manifest. @throws VerificationError for a manifest of another kind: the one place where `content` gets its type */
export function reportOf<R extends JsonValue>(
  kind: { kind: string; noun: string; load(): Promise<{ newInspector(): Inspector<R> }> },
  { component, timestamp, kind: found, content }: Manifest,
): R {
  if (found === kind.kind) return content as R;
  throw new VerificationError(`${component} ${timestamp} is a backup of kind ${found}, not of kind ${kind.kind}.`, {
    fix: `Name a component of kind ${kind.kind}, or use the step for kind ${found}.`,
  });
}

// The registry of kinds: one line per kind. Steps, choices, schema, help and checks follow from it.
import type { ComponentKind } from '../backup/kind.ts';
import type { InputSpecs, InputValues, Spell } from '../step/define.ts';
import { UsageError } from '../step/errors.ts';
import { clusterState } from '../cluster-state/kind.ts';
import { mongodb } from '../mongodb/kind.ts';

const ALL = [mongodb, clusterState] as const;

/** The name of a kind. */
export type KindName = (typeof ALL)[number]['kind'];

/** A kind whose parts are no longer told apart: what steps about any kind handle. */
export type AnyKind = ComponentKind;

/** The kinds that a program knows. Tests add one; the product has `KINDS`. */
export class Kinds {
  readonly all: readonly AnyKind[];

  constructor(all: readonly AnyKind[]) {
    this.all = all;
  }

  get names(): string[] {
    return this.all.map(({ kind }) => kind);
  }

  /** Undefined for a kind that this version does not know: another version has made the backup. */
  find(name: string | undefined): AnyKind | undefined {
    return this.all.find(({ kind }) => kind === name);
  }

  /** @throws UsageError for a kind that this version does not know */
  get(name: string): AnyKind {
    const kind = this.find(name);
    if (kind) return kind;
    throw new UsageError(`This version does not know the kind ${JSON.stringify(name)}.`, {
      fix: `It knows: ${this.names.join(', ')}. Use the version that made the backup, or a newer one.`,
    });
  }

  /** Where the things of all kinds are, for a step about any kind. */
  get inputs(): InputSpecs {
    return Object.assign({}, ...this.all.map(({ inputs }) => inputs)) as InputSpecs;
  }

  /** What a comparison may be told besides. */
  get compareInputs(): InputSpecs {
    return Object.assign({}, ...this.all.map(({ compareInputs }) => compareInputs)) as InputSpecs;
  }

  /**
   * What is wrong with inputs that say where a thing is. Where there are several kinds, the thing may be of any of them: then nothing is missing
   * as long as one kind has what it needs.
   */
  problems(inputs: InputValues<InputSpecs>, spell: Spell, needed: boolean): string[] {
    const all = this.all.map((kind) => kind.check?.(inputs, spell, needed && this.all.length === 1) ?? []);
    return [...new Set(all.flat())];
  }

  with(...more: readonly AnyKind[]): Kinds {
    return new Kinds([...this.all, ...more]);
  }
}

export const KINDS = new Kinds(ALL);

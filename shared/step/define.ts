// `defineStep`: the single source of a step, from which every host's face is generated.
import type { Clock } from '../tools/clock.ts';
import type { UserError } from './errors.ts';
import type { FailureHelp, Host } from './host.ts';
import { inGroup, input, type InputSpec } from './input.ts';

export type InputSpecs = Record<string, InputSpec<unknown>>;
/** The frozen, typed record of parsed inputs. */
export type InputValues<I extends InputSpecs> = { readonly [K in keyof I]: NonNullable<I[K]> extends InputSpec<infer T> ? T : never };

/** Names an input in the host's own spelling. */
export type Spell<K extends string = string> = (name: K) => string;

export interface OutputSpec {
  summary: string;
}

/** `reads` changes nothing, `writes` adds, `destroys` may remove or overwrite something that is in use. */
export type Effects = 'reads' | 'writes' | 'destroys';

/** What a destroying step is about to do; printed before anything is touched. */
export interface DestructionPlan {
  title: string;
  /** Label and value, shown as a table. */
  facts: [label: string, value: string][];
  /** What will be gone or overwritten, one line each. */
  losses: string[];
  /** What the person must type (`confirm`): `dr.yml`'s name. */
  confirmation: string;
}

/**
 * What a step works with. A helper asks for the inputs that it reads and the outputs that it sets, and takes the context of every step that
 * has them: `StepContext<typeof storeInputs>`.
 */
export interface StepContext<I extends InputSpecs = InputSpecs, O extends string = never> {
  /** The step's name. */
  step: string;
  host: Host;
  inputs: InputValues<I>;
  /** Where each input's value came from: the host, `dr.yml` or the default. */
  origin(name: keyof I & string): 'input' | 'dr.yml' | 'default' | 'absent';
  clock: Clock;
  signal: AbortSignal;
  /** What the run keeps for its step, as `openConfig` made it; `sessionOf` of shared/session gives it its type. */
  session?: unknown;
  setOutput: (this: void, name: O, value: string | number) => void;
  /** Keeps what helps a person when the run fails; shown below the error. */
  remember: (this: void, help: FailureHelp & { component?: string | undefined }) => void;
  /**
   * Shows the plan and asks for the typed confirmation of a destroying step.
   * @returns false on a dry run: the caller then stops without touching anything.
   * @throws RefusedError when the confirmation is missing or differs.
   */
  confirmDestruction(plan: DestructionPlan): Promise<boolean>;
  /** A warning about what follows from the error that the step is going to throw: told after it, so that the cause comes first. */
  warnAfterwards?: ((this: void, message: string) => void) | undefined;
}

/** The context of one step as that of another that it stands for, with the other's inputs. An input that it does not have was not given. */
export function contextWith<I extends InputSpecs, O extends string>(
  context: StepContext<InputSpecs, O>,
  inputs: InputValues<I>,
): StepContext<I, O> {
  return { ...context, inputs, origin: (name) => context.origin(name) };
}

/** What `run` returns: nothing special (succeeded), or `partial` with the reasons. */
export interface StepReturn {
  /** Reasons why the outcome is `partial`; empty or absent means `succeeded`. Each is also shown as a warning. */
  doubts?: string[];
  /** Machine-readable result for `--json`. Never a secret. */
  result?: unknown;
  /** Returned instead of thrown by a step that fails with a result to show. */
  failure?: UserError;
}

export interface StepDefinition<I extends InputSpecs = InputSpecs, O extends string = string> {
  /** Kebab-case name: the action's folder, the CLI command. */
  name: string;
  /** Azure's friendlyName, at most 40 characters. */
  title: string;
  /** What a run is called in a heading, such as `Validation` (of shop/mongodb failed). Default: the title's own words. */
  noun?: string;
  /** One sentence: what the step does and proves. */
  summary: string;
  /** A few sentences of help, plain text. */
  description: string;
  /** What it may change; decides about dry runs, confirmation and the icon. */
  effects: Effects;
  /** The kind of component that the step works on; dr.yml's only one of that kind is picked by itself. Absent: any kind. */
  componentKind?: string;
  inputs: I;
  outputs: Record<O, OutputSpec>;
  /** Command lines for `--help` and the READMEs: what it shows, and the arguments. */
  examples: { what: string; args: string }[];
  /** Cross-field rules; each problem names inputs by `spell(name)`. Runs before `run`, and also when an input could not be parsed (it is undefined then). */
  check?(inputs: InputValues<I>, spell: Spell<keyof I & string>): string[];
  run(context: StepContext<I, O>): Promise<StepReturn | undefined>;
}

/** A definition whose type parameters no longer matter: what registries, hosts and generators handle. */
export type AnyStep = StepDefinition;

/** The heading of everything that says whether data may be touched. */
export const SAFETY_GROUP = 'Safety';

const destroyingInputs = inGroup(SAFETY_GROUP, {
  confirm: input.string({
    summary: 'The name that the plan asks for (the one in dr.yml), to confirm that data may be replaced or removed.',
    example: 'rocketchat-production',
  }),
  dryRun: input.flag({ summary: 'Show the plan and stop before anything is touched.', default: 'false' }),
  reason: input.string({
    summary: 'Why you are doing this; kept in the audit log.',
    example: 'INC-4711: orders collection lost',
  }),
});

/** Inputs that `defineStep` adds to a step that destroys. */
export type DestroyingInputs = typeof destroyingInputs;

/** The context of a step that destroys. */
export type DestroyingContext<I extends InputSpecs, O extends string> = StepContext<I & DestroyingInputs, O>;

type Added<E extends Effects> = E extends 'destroys' ? DestroyingInputs : unknown;

/**
 * Declares a step. A step with `effects: 'destroys'` gets the inputs `confirm`, `dry-run` and `reason` added.
 * @throws Error at start-up when a name cannot be spelt on every host.
 */
export function defineStep<const I extends InputSpecs, const O extends string, const E extends Effects>(
  definition: Omit<StepDefinition<I, O>, 'run' | 'check' | 'effects'> & {
    effects: E;
    check?(inputs: InputValues<I & Added<E>>, spell: Spell<keyof (I & Added<E>) & string>): string[];
    run(context: StepContext<I & Added<E>, O>): Promise<StepReturn | undefined>;
  },
): AnyStep {
  const inputs = definition.effects === 'destroys' ? { ...definition.inputs, ...destroyingInputs } : definition.inputs;
  for (const name of [...Object.keys(inputs), ...Object.keys(definition.outputs)]) {
    // Azure Pipelines' task schema; hyphens are not allowed there, so kebab-case is derived.
    if (!/^[a-z][A-Za-z0-9]*$/.test(name)) throw new Error(`${definition.name}: "${name}" is not camelCase`);
  }
  if (definition.title.length > 40) throw new Error(`${definition.name}: title is longer than Azure's 40 characters`);
  return { ...definition, inputs } as AnyStep;
}

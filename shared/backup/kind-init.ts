// What a kind adds to `lifeboat init`: options, questions, and its keys of dr.yml.
import type { InputSpecs, InputValues, Spell, StepDefinition } from '../step/define.ts';

export interface Question {
  /** The answer when none is typed. A question without one has a line of its own. */
  preset?: string | undefined;
  /** There is no going on without an answer. A name is that of the input (camelCase) that is told as missing where no one can answer. */
  needed?: boolean | string;
  /** Throws UsageError for an answer that cannot be taken. */
  check?: (text: string) => unknown;
  /** What was probably meant by an answer that cannot be taken. */
  suggest?: (text: string) => string | undefined;
}

/** Asks a person, again after a wrong answer; the preset where no one can answer. */
export type Ask = (question: string, about?: Question) => Promise<string | undefined>;

export interface Asking {
  ask: Ask;
  /** Asks for yes or no. @param checkYes throws UsageError when yes cannot be taken */
  agrees(this: void, question: string, preset: boolean, checkYes?: () => void): Promise<boolean>;
  /** @throws UsageError for what dr.yml cannot take */
  tryOut(this: void, component: InitComponent): void;
}

/** A component as `init` writes it. */
export interface InitComponent {
  kind: string;
  /** Its own keys of dr.yml: lines of YAML, with comments. */
  yaml: readonly string[];
  /** Variables of the environment that the keys refer to, and what a value looks like. */
  variables: readonly { name: string; looks: string }[];
  /** kubectl reaches it: a pipeline signs in to the cluster first. What is to be done in the cluster, one sentence each. */
  cluster?: readonly string[] | undefined;
}

/** A kind without this is asked for the keys that it cannot do without. */
export interface KindInit<I extends InputSpecs = InputSpecs> {
  /** Options that answer its questions. Each says by `config` which key of dr.yml it is; none is a secret. */
  readonly inputs: I;
  readonly examples: StepDefinition['examples'];
  check?(inputs: Partial<InputValues<I>>, spell: Spell): string[];
  /** Asks what no option says. */
  component(inputs: Partial<InputValues<I>>, asking: Asking): Promise<InitComponent>;
}

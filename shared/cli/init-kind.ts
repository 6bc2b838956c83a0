// What `lifeboat init` asks of a kind that brings no questions of its own: the keys of dr.yml that cannot be left out.
import type { z } from 'zod';
import type { Asking, InitComponent } from '../backup/kind-init.ts';
import type { AnyKind, Kinds } from '../kinds/registry.ts';
import { scalar } from '../schema/yaml-text.ts';
import type { InputSpecs, InputValues } from '../step/define.ts';
import type { InputSpec } from '../step/input.ts';
import { configPaths } from '../step/run.ts';

/** Options of `init` that answer the questions of the kinds. */
export function initInputsOf(kinds: Kinds): InputSpecs {
  return Object.assign({}, ...kinds.all.map((kind) => kind.init?.inputs ?? usualInputs(kind))) as InputSpecs;
}

/** The inputs that are keys of dr.yml by themselves. A secret is none: it does not go into a file. */
function usualInputs(kind: AnyKind): InputSpecs {
  return Object.fromEntries(Object.entries(kind.inputs).filter(([, spec]) => spec.kind !== 'secret' && keyOf(spec) !== undefined));
}

function keyOf(spec: InputSpec<unknown>): string | undefined {
  return configPaths(spec).find((path) => /^\w+$/.test(path));
}

/** The component with what options say, and an answer for each key that cannot be left out. */
export async function usualComponent(kind: AnyKind, given: InputValues<InputSpecs>, { ask }: Asking): Promise<InitComponent> {
  const shape = (await kind.shape()) as Record<string, z.ZodType>;
  const yaml: string[] = [];
  for (const [input, spec] of Object.entries(usualInputs(kind))) {
    const key = keyOf(spec) as string;
    if (given[input] === undefined && shape[key]?.safeParse(undefined).success) continue;
    const answer = given[input] ?? (await ask(`${spec.summary} Such as ${spec.example ?? key}`, { needed: input })) ?? spec.example ?? key;
    yaml.push(`${key}: ${typeof answer === 'string' ? scalar(answer) : JSON.stringify(answer)}`);
  }
  return { kind: kind.kind, yaml, variables: [], cluster: kind.cluster };
}

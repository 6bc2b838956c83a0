// `action.yml` of each step, and of the root: the GitHub face.
import { Document } from 'yaml';
import { kebabCase, type InputSpec } from '../../shared/step/input.ts';
import type { AnyStep, Effects } from '../../shared/step/define.ts';
import { describeInput, faceDefault, inputsFor, mustBeGiven } from '../../shared/cli/describe.ts';
import { GENERATED_COMMENT } from '../../shared/cli/project.ts';

/** Marketplace icons (https://feathericons.com) and colours by what a step does. */
const BRANDING: Record<Effects, { icon: string; color: string }> = {
  reads: { icon: 'check-circle', color: 'green' },
  writes: { icon: 'archive', color: 'blue' },
  destroys: { icon: 'life-buoy', color: 'orange' },
};

interface ActionInput {
  description: string;
  required: boolean;
  default?: string;
}

/** The output that every step has, whatever it declares. */
export const OUTCOME_OUTPUT = { name: 'outcome', summary: 'How the step ended: succeeded, partial, failed, refused or cancelled.' };

/** `actions/<step>/action.yml`. */
export function actionYaml(step: AnyStep): string {
  return toYaml({
    name: step.title,
    description: step.summary,
    author: 'Lifeboat',
    branding: BRANDING[step.effects],
    inputs: Object.fromEntries(inputsFor(step, 'github').map(([name, spec]) => [kebabCase(name), actionInput(spec)])),
    outputs: outputs([step]),
    runs: { using: 'node24', main: `../../dist/github/${step.name}.mjs` },
  });
}

/** The root action, the one the Marketplace lists: every step under one name, chosen by the input `step`. */
export function rootActionYaml(steps: readonly AnyStep[]): string {
  const inputs: Record<string, ActionInput> = {
    step: { description: `The step to run. One of: ${steps.map((step) => step.name).join(', ')}.`, required: true },
  };
  for (const [name, descriptions] of unionOfInputs(steps)) {
    const scope = (users: readonly string[]): string => (users.length === steps.length ? '' : ` (${users.join(', ')})`);
    const description = [...descriptions].map(([text, users]) => `${text}${scope(users)}`).join(' Or: ');
    // No defaults: they may differ from step to step, and the step knows its own.
    inputs[kebabCase(name)] = { description, required: false };
  }
  return toYaml({
    name: 'Lifeboat: proved backups',
    description: 'Backup, restore-test and disaster-recovery steps: every backup is proved restorable before it counts.',
    author: 'Lifeboat',
    branding: BRANDING.destroys,
    inputs,
    outputs: outputs(steps),
    runs: { using: 'node24', main: 'dist/github/lifeboat.mjs' },
  });
}

function actionInput(spec: InputSpec<unknown>): ActionInput {
  const preset = faceDefault(spec);
  return { description: describeInput(spec), required: mustBeGiven(spec), ...(preset === undefined ? {} : { default: preset }) };
}

/** By input: what it means, which may differ from step to step, and the steps for which it means that. */
function unionOfInputs(steps: readonly AnyStep[]): Map<string, Map<string, string[]>> {
  const union = new Map<string, Map<string, string[]>>();
  for (const step of steps) {
    for (const [name, spec] of inputsFor(step, 'github')) {
      const descriptions = union.get(name) ?? new Map<string, string[]>();
      const text = describeInput(spec);
      union.set(name, descriptions.set(text, [...(descriptions.get(text) ?? []), step.name]));
    }
  }
  return union;
}

function outputs(steps: readonly AnyStep[]): Record<string, { description: string }> {
  const all = new Map<string, Set<string>>();
  for (const step of steps) {
    for (const [name, { summary }] of Object.entries(step.outputs)) all.set(name, (all.get(name) ?? new Set<string>()).add(summary));
  }
  const described = [...all].map(([name, summaries]) => [kebabCase(name), { description: [...summaries].join(' Or: ') }]);
  return Object.fromEntries([...described, [OUTCOME_OUTPUT.name, { description: OUTCOME_OUTPUT.summary }]]) as Record<
    string,
    { description: string }
  >;
}

function toYaml(content: unknown): string {
  const document = new Document(content);
  document.commentBefore = GENERATED_COMMENT;
  return document.toString({ lineWidth: 0, defaultStringType: 'PLAIN', defaultKeyType: 'PLAIN' });
}

// `action.yml` of each step, and of the root: the GitHub face.
import { Document } from 'yaml';
import { kebabCase, type InputSpec } from '../../shared/step/input.ts';
import type { AnyStep, Effects } from '../../shared/step/define.ts';
import { describeInput, faceDefault, inputsFor, mustBeGiven, sharedInputs, sharedOutputs } from '../../shared/cli/describe.ts';
import { GENERATED_COMMENT, REPOSITORY, TAG } from '../../shared/cli/project.ts';

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
    outputs: outputs(Object.entries(step.outputs).map(([name, { summary }]) => [name, summary])),
    runs: { using: 'node24', main: `../../dist/github/${step.name}.mjs` },
  });
}

/** The root action, the one the Marketplace lists: every step under one name, chosen by the input `step`. */
export function rootActionYaml(steps: readonly AnyStep[]): string {
  const choice = `The step to run. One of: ${steps.map((step) => step.name).join(', ')}.`;
  const others = `Inputs that are not listed here are those of a step: uses: ${REPOSITORY}/actions/<step>@${TAG} declares them.`;
  return toYaml({
    name: 'Lifeboat: proved backups',
    description: 'Backup, restore-test and disaster-recovery steps: every backup is proved restorable before it counts.',
    author: 'Lifeboat',
    branding: BRANDING.destroys,
    inputs: {
      step: { description: `${choice} ${others}`, required: true },
      // No defaults: they may differ from step to step, and the step knows its own.
      ...Object.fromEntries(sharedInputs(steps).map(([name, text]) => [kebabCase(name), { description: text, required: false }])),
    },
    outputs: outputs(sharedOutputs(steps)),
    runs: { using: 'node24', main: 'dist/github/lifeboat.mjs' },
  });
}

function actionInput(spec: InputSpec<unknown>): ActionInput {
  const preset = faceDefault(spec);
  return { description: describeInput(spec), required: mustBeGiven(spec), ...(preset === undefined ? {} : { default: preset }) };
}

function outputs(declared: readonly (readonly [name: string, summary: string])[]): Record<string, { description: string }> {
  const all = [...declared, [OUTCOME_OUTPUT.name, OUTCOME_OUTPUT.summary] as const];
  return Object.fromEntries(all.map(([name, summary]) => [kebabCase(name), { description: summary }]));
}

function toYaml(content: unknown): string {
  const document = new Document(content);
  document.commentBefore = GENERATED_COMMENT;
  return document.toString({ lineWidth: 0, defaultStringType: 'PLAIN', defaultKeyType: 'PLAIN' });
}

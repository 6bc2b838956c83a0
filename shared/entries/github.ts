// What the bundles under dist/github/ run.
import { nearestSpelling } from '../schema/spelling.ts';
import { GithubHost } from '../hosts/github.ts';
import { drSource } from '../session/session.ts';
import type { AnyStep } from '../step/define.ts';
import { EXIT_CODES } from '../step/errors.ts';
import { kebabCase } from '../step/input.ts';
import { runStep } from '../step/run.ts';
import { findStep, steps } from '../steps/index.ts';
import { ALIASES, meaningsOf } from '../steps/words.ts';
import { sharedInputs } from '../cli/describe.ts';
import { REPOSITORY, TAG } from '../cli/project.ts';
import { endProcess } from './end.ts';

/** Runs the step that `actions/<name>` is about. */
export async function runGithubStep(name: string): Promise<never> {
  const step = findStep(name);
  if (!step) throw new Error(`No step ${name}`);
  await runStep(step, new GithubHost(), { openConfig: drSource() });
  return endProcess();
}

/** Runs the step that the input `step` of the root action names. */
export async function runGithubChooser(): Promise<never> {
  const host = new GithubHost();
  const name = host.rawInput('step') ?? '';
  const step = findStep(name);
  const problem = step ? foreignInputs(step, host.givenInputs()) : unknownStep(name);
  if (step && problem === undefined) {
    tellUndeclared(step, host);
    await runStep(step, host, { openConfig: drSource() });
  } else {
    await host.finish({
      outcome: 'failed',
      exitCode: EXIT_CODES.usage,
      warnings: [],
      error: { kind: 'usage', message: problem ?? '', fix: 'See the steps and their inputs in the README.' },
    });
  }
  return endProcess();
}

function unknownStep(name: string): string {
  const names = steps.map((step) => step.name);
  const meant = meaningsOf(name).flatMap(({ line }) => names.find((step) => step === line.split(' ')[0]) ?? []);
  const near = ALIASES.get(name) ?? ([...new Set(meant)].join(' or ') || nearestSpelling(name, names));
  const known = names.join(', ');
  if (name === '') return `step is missing. Expected one of: ${known}.`;
  return `step is ${JSON.stringify(name)}: expected one of: ${known}.${near === undefined ? '' : ` Did you mean ${near}?`}`;
}

/** GitHub hands over every input, also one that the step does not have. */
function foreignInputs(step: AnyStep, given: string[]): string | undefined {
  const own = new Set([
    'step',
    ...Object.entries(step.inputs).flatMap(([name, spec]) => [name, ...(spec.renamedFrom ?? [])].map(kebabCase)),
  ]);
  const foreign = given.filter((name) => !own.has(name));
  return foreign.length === 0 ? undefined : `${step.name} has no input ${foreign.join(', ')}.`;
}

/**
 * The runner warns of an input that the root action does not declare, and hands it over all the same (actions/runner, ActionRunner.cs): says
 * that it counts, and how to end the warning.
 */
function tellUndeclared(step: AnyStep, host: GithubHost): void {
  const declared = new Set(['step', ...sharedInputs(steps).map(([name]) => kebabCase(name))]);
  const undeclared = host.givenInputs().filter((name) => !declared.has(name));
  if (undeclared.length === 0) return;
  host.notice(
    `GitHub warns of inputs that this action does not declare, but they are used: ${undeclared.join(', ')}. ` +
      `To end the warning, use ${REPOSITORY}/actions/${step.name}@${TAG}, which declares them.`,
  );
}

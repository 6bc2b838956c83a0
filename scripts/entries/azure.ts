// What the bundles under dist/azure/ run once they are on a Node.js that can.
import { AzureHost } from '../../shared/hosts/azure.ts';
import { drSource } from '../../shared/session/session.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { endProcess } from './end.ts';

/** Runs the step that the task is about. */
export async function runAzureStep(name: string): Promise<never> {
  const step = findStep(name);
  if (!step) throw new Error(`No step ${name}`);
  const names = Object.entries(step.inputs).flatMap(([input, spec]) => [input, ...(spec.renamedFrom ?? [])]);
  await runStep(step, new AzureHost(names), { openConfig: drSource() });
  return endProcess();
}

// What the bundles under dist/azure/ run once they are on a Node.js that can.
import { AzureHost } from '../../shared/hosts/azure.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { endProcess } from './end.ts';
import { openConfig } from './open-config.ts';

/** Runs the step that the task is about. */
export async function runAzureStep(name: string): Promise<never> {
  const step = findStep(name);
  if (!step) throw new Error(`No step ${name}`);
  await runStep(step, new AzureHost(Object.keys(step.inputs)), { openConfig });
  return endProcess();
}

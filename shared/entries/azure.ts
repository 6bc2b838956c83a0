// What the bundles under dist/azure/ run once they are on a Node.js that can.
import { AzureHost } from '../hosts/azure.ts';
import { drSource } from '../session/session.ts';
import { agentConnection } from '../hosts/azure-connection.ts';
import { withFix } from '../step/errors.ts';
import { runStep } from '../step/run.ts';
import { findStep } from '../steps/index.ts';
import { trustAuthority, useAgentProxy } from '../tools/proxy.ts';
import { endProcess } from './end.ts';

/** Runs the step that the task is about. */
export async function runAzureStep(name: string): Promise<never> {
  const step = findStep(name);
  if (!step) throw new Error(`No step ${name}`);
  const names = Object.entries(step.inputs).flatMap(([input, spec]) => [input, ...(spec.renamedFrom ?? [])]);
  const host = new AzureHost(names);
  useAgent(host);
  await runStep(step, host, { openConfig: drSource() });
  return endProcess();
}

/** The agent's own way to the outside, for every request of the task. */
function useAgent(host: AzureHost): void {
  const { proxy, caFile } = agentConnection();
  const secret = proxy && URL.canParse(proxy.url) ? new URL(proxy.url).password : '';
  if (secret !== '') for (const text of [secret, decodeURIComponent(secret)]) host.mask(text);
  useAgentProxy(proxy);
  try {
    if (caFile !== undefined) trustAuthority(caFile);
  } catch (thrown) {
    // What needs the certificate will say so; a task that does not must work.
    host.warning(withFix(thrown));
  }
}

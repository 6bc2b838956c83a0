// What `doctor` takes and puts out; `inputsOf` adds where the things of the kinds are.
import type { Kinds } from '../../kinds/registry.ts';
import type { StepContext } from '../../step/define.ts';
import { input, optional, type InputSpec } from '../../step/input.ts';
import { azureInputs, keyInputs, storeInputs, targetInputs, unlockInputs } from '../../session/inputs.ts';

/** Everything besides the things that are looked at. */
const others = {
  ...storeInputs,
  store: optional(storeInputs.store),
  ...keyInputs,
  ...unlockInputs,
  only: input.list({ summary: 'Only these checks, by name.', example: 'store-access, vault-access' }),
  timeout: input.duration({ summary: 'How long one check may take.', default: '30s' }),
  ...azureInputs,
};

export const inputs = { ...targetInputs, ...others };

/** All inputs, in the order in which people read them. */
export function inputsOf(kinds: Kinds): typeof inputs {
  return { ...targetInputs, ...Object.fromEntries(Object.entries(kinds.inputs).map(([name, spec]) => [name, lookedUp(spec)])), ...others };
}

/** A secret is looked up by the step itself: a variable that is not set is a finding, not the end of all other checks. */
function lookedUp({ config, ...spec }: InputSpec<unknown>): InputSpec<unknown> {
  if (spec.kind !== 'secret' || config === undefined) return config === undefined ? spec : { ...spec, config };
  return { ...spec, summary: `${spec.summary} When absent, that of the component in dr.yml.` };
}

export const outputs = {
  ok: { summary: 'Number of checks that found nothing wrong.' },
  warnings: { summary: 'Number of checks with a warning.' },
  failed: { summary: 'Number of checks that failed.' },
  checks: { summary: 'Every check as JSON: name, status, seen, fix.' },
};

export type Context = StepContext<typeof inputs, keyof typeof outputs>;

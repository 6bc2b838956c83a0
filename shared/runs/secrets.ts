// What must not leave a step in a record, an audit entry or a message: the values of its secret inputs.
import { sessionOf } from '../session/session.ts';
import type { StepContext } from '../step/define.ts';
import { Secret } from '../step/input.ts';
import type { Masker } from '../step/masking.ts';
import { secretInStoreAddress } from '../stores/open.ts';

/** The run's masker, which knows the secrets of its inputs, too. */
export function maskerOf(context: StepContext): Masker {
  const { masker } = sessionOf(context);
  for (const value of Object.values<unknown>(context.inputs)) {
    if (value instanceof Secret) masker.add(value.reveal());
    else if (typeof value === 'string') masker.add(secretInStoreAddress(value) ?? '');
  }
  return masker;
}

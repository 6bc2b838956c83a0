// What must not leave a step in a record, an audit entry or a message: the values of its secret inputs.
import type { StepContext } from '../../step/define.ts';
import { Secret } from '../../step/input.ts';
import { Masker } from '../../step/masking.ts';
import { secretInStoreAddress } from '../../stores/open.ts';

/** A masker that knows the secrets of a call's inputs. */
export function maskerOf({ inputs }: StepContext): Masker {
  const masker = new Masker();
  for (const value of Object.values<unknown>(inputs)) {
    if (value instanceof Secret) masker.add(value.reveal());
    else if (typeof value === 'string') masker.add(secretInStoreAddress(value) ?? '');
  }
  return masker;
}

// One check of `doctor`: what it found and what to do.
import { errorMessage, isDefect, UserError } from '../step/errors.ts';

export type CheckStatus = 'ok' | 'warning' | 'failed' | 'skipped';

/** What a check found. */
export interface Finding {
  status: CheckStatus;
  /** What was seen, one sentence. */
  seen: string;
  /** What to do about it; may hold a command to paste. */
  fix?: string | undefined;
}

export interface Check {
  /** Kebab-case, such as `store-access`. */
  name: string;
  /** Looks; throws what its rooms throw. Leaves nothing behind, also when it is cancelled. */
  look(signal: AbortSignal): Promise<Finding>;
}

/** What was thrown as a finding: our errors carry their fix. */
export function findingOf(thrown: unknown): Finding {
  if (isDefect(thrown)) {
    const { stack } = thrown as Error;
    return {
      status: 'failed',
      seen: `Unexpected error: ${errorMessage(thrown)}`,
      fix: `This is a defect in Lifeboat. Please report it with this stack: ${stack ?? ''}`,
    };
  }
  const fix = thrown instanceof UserError ? thrown.fix : undefined;
  return { status: 'failed', seen: errorMessage(thrown), fix };
}

/** A check that does not apply here. */
export function skipped(why: string): Finding {
  return { status: 'skipped', seen: why };
}

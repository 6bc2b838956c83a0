// What can go wrong, sorted by what the caller should do about it: one table of outcomes and exit codes for every host.

/** How a step ended. `partial`: something asked for was skipped or is doubtful; the rest is done and safe. */
export type Outcome = 'succeeded' | 'partial' | 'failed' | 'refused' | 'cancelled';

/** Why a step did not succeed; decides the exit code. */
export type ErrorKind = 'failed' | 'usage' | 'verification' | 'refused' | 'cancelled';

/** Process exit codes, the same for every step. README prints this table. */
export const EXIT_CODES = {
  succeeded: 0,
  failed: 1,
  usage: 2,
  partial: 3,
  verification: 4,
  refused: 5,
  cancelled: 130,
} as const;

/** What each exit code means to a person; the generator puts it into the README. */
export const EXIT_CODE_MEANINGS: Record<keyof typeof EXIT_CODES, string> = {
  succeeded: 'Done, and proved.',
  failed: 'Something outside failed: a server, a store, a tool. The message says which and what to do.',
  usage: 'An input or dr.yml is wrong. Nothing was touched.',
  partial: 'Done, but something asked for was skipped or is doubtful. The warnings say what.',
  verification: 'Data failed verification: a backup or a restore is not what its manifest says.',
  refused: 'A guard said no: wrong confirmation, wrong target, or a target that is not empty. No data was touched.',
  cancelled: 'Cancelled by Ctrl-C or by the CI system. Nothing half-done is listed.',
};

export interface UserErrorOptions {
  /** What to do about it, as a full sentence. Shown below the message. */
  fix?: string | undefined;
  /** The error underneath. Kept for debug logs; its text is not shown by itself. */
  cause?: unknown;
}

/**
 * An expected failure: its message says what happened and to what, `fix` says what to do. Shown without a stack.
 * Anything thrown that is not a UserError is a bug of ours and is shown with its stack.
 */
export class UserError extends Error {
  readonly kind: ErrorKind = 'failed';
  readonly fix: string | undefined;

  constructor(message: string, options: UserErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.fix = options.fix;
  }
}

/** An input or a line of dr.yml is wrong. Exit code 2. */
export class UsageError extends UserError {
  override readonly kind = 'usage' as const;
}

/** Stored or restored data is not what it should be. Exit code 4. */
export class VerificationError extends UserError {
  override readonly kind = 'verification' as const;
}

/** A guard said no before anything was touched. Exit code 5. */
export class RefusedError extends UserError {
  override readonly kind = 'refused' as const;
}

/** The person or the CI system cancelled. Exit code 130. */
export class CancelledError extends UserError {
  override readonly kind = 'cancelled' as const;

  constructor(message = 'Cancelled.', options: UserErrorOptions = {}) {
    super(message, options);
  }
}

/** The outcome that belongs to an error kind. */
export function outcomeOf(kind: ErrorKind): Outcome {
  if (kind === 'refused' || kind === 'cancelled') return kind;
  return 'failed';
}

/**
 * True when a mistake of the program was thrown, not something that the outside answered: such an error is told as a defect, with its stack,
 * and never as a network, a disk or a service that failed. Told by shape, since an error may come from another realm.
 */
export function isDefect(thrown: unknown): boolean {
  if (typeof thrown !== 'object' || thrown === null) return false;
  const { name, message, cause, code } = thrown as { name?: unknown; message?: unknown; cause?: unknown; code?: unknown };
  if (typeof name !== 'string' || !/^(Type|Reference|Range)Error$/.test(name)) return false;
  // What fetch throws for a failed connection is a TypeError, too; the failure is its cause.
  const fromFetch = message === 'fetch failed' || message === 'terminated' || isSystemError(cause);
  // The AWS SDK's and Azure's errors about an answer have it at hand.
  const answered = '$metadata' in thrown || '$response' in thrown || 'statusCode' in thrown;
  return !fromFetch && !answered && (typeof code !== 'string' || code.startsWith('ERR_'));
}

function isSystemError(cause: unknown): boolean {
  return typeof cause === 'object' && cause !== null && typeof (cause as { code?: unknown }).code === 'string';
}

/** The text of anything that was thrown. */
export function errorMessage(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  return String(thrown);
}

/** The text of anything that was thrown and what to do about it, in one line: for an error that is told among others. */
export function withFix(thrown: unknown): string {
  return thrown instanceof UserError && thrown.fix !== undefined ? `${thrown.message} ${thrown.fix}` : errorMessage(thrown);
}

/**
 * Throws CancelledError when the signal has been aborted. Call between two units of work.
 * @throws CancelledError
 */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError('Cancelled.', { cause: signal.reason });
}

/** The error of an aborted signal: the CancelledError that it was aborted with, or one that keeps what broke because of it. */
export function cancelled(signal: AbortSignal, cause: unknown = signal.reason): CancelledError {
  return signal.reason instanceof CancelledError ? signal.reason : new CancelledError('Cancelled.', { cause });
}

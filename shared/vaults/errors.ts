// What a vault can say no to.
import { UserError } from '../step/errors.ts';

/** A vault could not do what was asked. Never carries a secret's value. */
export class VaultError extends UserError {}

/** The key or secret is not in the vault. */
export class KeyMissingError extends VaultError {}

/** The secret is there, and its file is not what a vault writes. */
export class DamagedSecretError extends VaultError {
  override readonly kind = 'verification' as const;
}

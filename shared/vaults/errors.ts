// What a vault can say no to.
import { UserError } from '../step/errors.ts';

/** A vault could not do what was asked. Never carries a secret's value. */
export class VaultError extends UserError {}

/** The key or secret is not in the vault. */
export class KeyMissingError extends VaultError {}

// How a secret reaches a step on a terminal: a variable, a file or standard input, but never a command line, which `ps` shows to everyone.
import { readFileSync } from 'node:fs';
import { errorMessage, UsageError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import { kebabCase } from '../step/input.ts';

/** `storeSas` → `LIFEBOAT_STORE_SAS`. */
export function secretVariable(inputName: string): string {
  return `LIFEBOAT_${kebabCase(inputName).replaceAll('-', '_').toUpperCase()}`;
}

/** `storeSas` → `--store-sas-file`. */
export function secretFileOption(inputName: string): string {
  return `--${kebabCase(inputName)}-file`;
}

/**
 * The secret's text: from the file when one is given (`-` is standard input), else from the variable; undefined when neither is there.
 * One line end at the end of a file is not part of the secret. The variable is taken out of the environment, so that no child inherits it.
 * @throws UsageError when the file cannot be read or is empty
 */
export function readSecret(inputName: string, file: string | undefined, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const variable = secretVariable(inputName);
  const fromEnvironment = env[variable];
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the environment is a dictionary
  delete env[variable];
  if (file === undefined) return fromEnvironment === '' ? undefined : fromEnvironment;
  const option = secretFileOption(inputName);
  let text: string;
  try {
    text = readFileSync(file === '-' ? 0 : expandHome(file), 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new UsageError(`${option} ${file} cannot be read: ${errorMessage(cause)}.`, {
      fix: `Name a file that holds nothing but the secret, - for standard input, or set ${variable}.`,
      cause,
    });
  }
  if (text === '') throw new UsageError(`${option} ${file} is empty.`, { fix: `Write the secret into it, or set ${variable}.` });
  return text;
}

/**
 * The refusal of an option whose value holds a secret, such as the SAS of a store's address. Does not repeat it.
 * @param what what it holds, in a few words
 * @param own the input that takes such a secret, where the step has one
 */
export function secretInOption(inputName: string, what: string, own: string | undefined): UsageError {
  const way = own === undefined ? '' : `leave it out and set ${secretVariable(own)} (or give ${secretFileOption(own)} <path>), or `;
  return new UsageError(
    `--${kebabCase(inputName)} holds ${what}, which is not taken from the command line, where everyone on the machine can read it.`,
    {
      fix:
        `${capitalised(`${way}name it in dr.yml with a reference, such as \${env:NAME}`)}. ` +
        `The one you typed may be in your shell's history: change it.`,
    },
  );
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The refusal of a secret that was written on the command line. Does not repeat it. */
export function secretOnCommandLine(inputName: string): UsageError {
  return new UsageError(
    `--${kebabCase(inputName)} is a secret and is not taken from the command line, where everyone on the machine can read it.`,
    {
      fix:
        `Set ${secretVariable(inputName)}, or give ${secretFileOption(inputName)} <path> (- for standard input). ` +
        `The one you typed may be in your shell's history.`,
    },
  );
}

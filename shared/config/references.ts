// `${env:NAME}` and `${vault:name}`: how dr.yml names secrets instead of holding them.
import { UsageError } from '../step/errors.ts';

export interface Reference {
  kind: 'env' | 'vault';
  name: string;
  /** As it stands in the file: `${env:NAME}`. */
  text: string;
}

/** Where references are looked up. */
export interface ReferenceSources {
  /** Environment variables; an empty one counts as missing. */
  env: Readonly<Record<string, string | undefined>>;
  /** The text of a secret in the vault; undefined when there is none. Absent: `${vault:…}` cannot be used here. */
  vaultSecret?: ((name: string) => Promise<string | undefined>) | undefined;
}

const REFERENCE = /\$\{(env|vault):([^}]*)\}/g;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Key Vault's rule for names of secrets. */
const VAULT_NAME = /^[0-9A-Za-z-]{1,127}$/;

/** The references in a text, in order. */
export function findReferences(text: string): Reference[] {
  return [...text.matchAll(REFERENCE)].map((match) => ({ kind: match[1] as 'env' | 'vault', name: match[2] as string, text: match[0] }));
}

/** What is wrong with what looks like a reference; undefined when all is well. Never quotes the text around it. */
export function referenceProblem(text: string): string | undefined {
  if (/\$\{\{/.test(text))
    return 'expressions ${{ … }} are not evaluated in dr.yml: set an environment variable in the workflow and write ${env:NAME}';
  if (/\$\((?:[A-Za-z_][\w.]*)\)/.test(text)) {
    return 'macros $(…) are not evaluated in dr.yml: set an environment variable in the pipeline and write ${env:NAME}';
  }
  for (const match of text.matchAll(/\$\{([^}]*)(\}?)/g)) {
    const inner = match[1] as string;
    const [, kind, name = ''] = /^([^:]*):(.*)$/s.exec(inner) ?? [];
    if (match[2] === '') return 'a reference that starts with ${ has no closing }';
    if (kind === undefined && ENV_NAME.test(inner)) return `\${${inner}} does not say where to look: write \${env:${inner}}`;
    if (kind !== 'env' && kind !== 'vault') return 'expected ${env:NAME} or ${vault:name}';
    if (kind === 'env' && !ENV_NAME.test(name)) return 'expected ${env:NAME} with a name of letters, digits and underscores';
    if (kind === 'vault' && !VAULT_NAME.test(name)) return 'expected ${vault:name} with a name of letters, digits and dashes';
  }
  return undefined;
}

/**
 * A text with its references replaced.
 * @param where file, line and path, for messages
 * @returns the text and the values that were put in (to be masked where they are secrets)
 * @throws UsageError naming the first reference that cannot be resolved; errors of the vault
 */
export async function resolveReferences(
  text: string,
  where: string,
  sources: ReferenceSources,
): Promise<{ text: string; values: string[] }> {
  const found = new Map<string, string>();
  for (const reference of findReferences(text)) found.set(reference.text, await resolveOne(reference, where, sources));
  return { text: text.replace(REFERENCE, (whole) => found.get(whole) as string), values: [...found.values()] };
}

async function resolveOne({ kind, name, text }: Reference, where: string, { env, vaultSecret }: ReferenceSources): Promise<string> {
  if (kind === 'env') {
    const value = env[name];
    if (value) return value;
    throw new UsageError(`${where} refers to ${text}, but that environment variable is ${value === '' ? 'empty' : 'not set'}.`, {
      fix: `Set ${name}; in a pipeline, map the secret to it with env: on the step.`,
    });
  }
  if (!vaultSecret) {
    throw new UsageError(`${where} refers to ${text}, but vault secrets cannot be read for this value.`, {
      fix: 'Use ${env:NAME} here.',
    });
  }
  const value = await vaultSecret(name);
  if (value) return value;
  throw new UsageError(`${where} refers to ${text}, but the vault has no secret "${name}".`, {
    fix: `Create the secret ${name} in the vault, or correct the name.`,
  });
}

// Reads dr.yml: YAML, literal secrets, references, schema, relations; every problem is told at once, with its place.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UsageError } from '../step/errors.ts';
import { checkRelations, notices } from './check.ts';
import { parseYaml, type YamlFile } from './document.ts';
import { DrConfig, type DrSources } from './dr-config.ts';
import { explainIssues } from './explain.ts';
import { literalSecret } from './literal-secrets.ts';
import { ConfigError, pathText, type ConfigProblem } from './problem.ts';
import { referenceProblem } from './references.ts';
import { drSchema, drSchemaOf } from './schema.ts';

/**
 * Loads and checks a dr.yml.
 * @param path as the user gave it; messages call the file so
 * @throws UsageError when there is no such file; ConfigError with every problem in it
 */
export async function loadDr(path: string, sources: DrSources = {}): Promise<DrConfig> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason =
      code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'this is a folder' : `it cannot be read (${code ?? String(cause)})`;
    throw new UsageError(`${path}: ${reason}.`, {
      fix: 'Give the path of dr.yml, or leave it out to use the one in the working folder.',
      cause,
    });
  }
  return parseDr(content, path, sources, sources.kinds && (await drSchemaOf(sources.kinds)));
}

/**
 * Checks the content of a dr.yml.
 * @param label how messages call the file; relative paths in it start at its folder
 * @throws ConfigError with every problem
 */
export function parseDr(content: string, label: string, sources: DrSources = {}, schema = drSchema): DrConfig {
  const yaml = parseYaml(content, label);
  const parsed = schema.safeParse(yaml.data);
  const problems = inOrder([
    ...secretProblems(yaml, content),
    ...keyProblems(yaml),
    ...referenceProblems(yaml),
    ...(parsed.success ? [] : explainIssues(parsed.error.issues, yaml)),
    ...checkRelations(yaml, sources.kinds),
  ]);
  if (!parsed.success || problems.length > 0) throw new ConfigError(label, problems);
  const folder = dirname(resolve(label));
  return new DrConfig({ label, folder, dr: parsed.data, schema, yaml, notices: inOrder(notices(parsed.data, yaml, new Date())) }, sources);
}

function secretProblems(yaml: YamlFile, content: string): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const { path, text, position } of yaml.texts) {
    const message = literalSecret(text);
    if (message !== undefined)
      problems.push({ ...position, path: pathText(path.slice(0, -1).concat(path.at(-1) === text ? [] : path.slice(-1))), message });
  }
  // Comments and anything else that is not a value: the file is published as a whole.
  for (const [index, line] of content.split('\n').entries()) {
    const message = problems.some((problem) => problem.line === index + 1) ? undefined : literalSecret(line);
    if (message !== undefined) problems.push({ line: index + 1, column: line.search(/\S/) + 1, path: '', message });
  }
  return problems;
}

/** The one key that a table in JavaScript cannot have: what stands below it would be dropped without a word. */
function keyProblems(yaml: YamlFile): ConfigProblem[] {
  return yaml.texts
    .filter(({ path, text }) => text === '__proto__' && path.at(-1) === text)
    .map(({ path, position }) => ({ ...position, path: pathText(path), message: '"__proto__" is reserved: choose another name' }));
}

function referenceProblems(yaml: YamlFile): ConfigProblem[] {
  const hasVault = typeof yaml.data === 'object' && yaml.data !== null && 'vault' in yaml.data;
  return yaml.texts.flatMap(({ path, text, position }) => {
    const message =
      referenceProblem(text) ??
      (!hasVault && text.includes('${vault:') ? 'there is no vault in this file to read the secret from' : undefined);
    return message === undefined ? [] : [{ ...position, path: pathText(path), message }];
  });
}

/** In the order of the file; of several problems with one value the first is the cause of the others. */
function inOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const seen = new Set<string>();
  return problems
    .filter(({ path, line, column }) => {
      const place = `${line}:${column}:${path}`;
      return !seen.has(place) && seen.add(place);
    })
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

// The published JSON Schema agrees with what the loader accepts, and explains every key.
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { Command } from 'commander';
import { existsSync } from 'node:fs';
import { register } from '../../shared/cli/config.ts';
import { REPOSITORY, TAG } from '../../shared/cli/project.ts';
import { initFiles, type InitAnswers } from '../../shared/config/init.ts';
import { drJsonSchema, schemaAt, type JsonSchema } from '../../shared/config/json-schema.ts';
import { parseDr } from '../../shared/config/load.ts';
import { KINDS } from '../../shared/kinds/registry.ts';
import { mongodbComponent } from '../../shared/mongodb/init.ts';
import { configPaths } from '../../shared/step/run.ts';
import { steps } from '../../shared/steps/index.ts';

const ANSWERS: InitAnswers = {
  ...{
    name: 'shop',
    store: './b',
    vault: './k',
    component: 'mongodb',
    of: mongodbComponent(),
    retention: '7-4-6',
    rpo: '24h',
    rto: '90m',
    hour: 2,
  },
  ...{ github: false, azure: false, serviceConnection: 'c', branch: 'main' },
};
const schema = drJsonSchema();
const validate = new Ajv({ strict: true, allErrors: true }).compile(schema);

/** The MongoDB part of the design's example. */
const EXAMPLE = `
version: 1
name: rocketchat-production
objectives: { rpo: 24h, rto: 90m, phases: { mongodb: 30m, volumes: 15m, cluster: 45m } }
stores:
  primary: { kind: azure-blob, account: stdrprod, container: backups }
  offsite: { kind: azure-blob, account: stdrsecond, container: backups }
vault: { kind: azure-key-vault, url: https://kv-dr-prod.vault.azure.net }
keys: [{ kind: key-vault-secret }, { kind: escrow, publicKey: escrow-public.pem }]
components:
  mongodb:
    kind: mongodb
    source: { uri: "\${env:MONGODB_URI}" }
    store: primary
    copies: [offsite]
    retention: { preset: 7-4-6 }
    schedule: "17 2 * * *"
`;

describe('the schema and the loader agree', () => {
  test.each([
    ['the example', EXAMPLE],
    ['rules instead of a preset', EXAMPLE.replace('preset: 7-4-6', 'daily: 7, within: 14d')],
    ['an account from the environment', EXAMPLE.replace('stdrprod', '"${env:ACCOUNT}"')],
    [
      'folders',
      EXAMPLE.replace(/primary: \{.*\}/, 'primary: { kind: folder, path: /b }')
        .replace(/vault: \{.*\}/, 'vault: { kind: folder, path: /k }')
        .replace('key-vault-secret', 'folder'),
    ],
  ])('both accept %s', (_what, content) => {
    expect(parseDr(content, 'dr.yml').dr.version).toBe(1);
    expect([validate(parse(content)), validate.errors]).toEqual([true, null]);
  });

  test.each([
    ['a misspelt key', EXAMPLE.replace('retention:', 'retentoin:')],
    ['a misspelt key at the top', EXAMPLE.replace('vault:', 'valut:')],
    ['a wrong kind', EXAMPLE.replace('azure-blob', 'azure-blub')],
    ['a missing source', EXAMPLE.replace(/ +source: .*\n/, '')],
    ['a wrong duration', EXAMPLE.replace('24h', '1 day')],
    ['a capital in a name', EXAMPLE.replace('  mongodb:', '  MongoDB:')],
    ['an unknown preset', EXAMPLE.replace('7-4-6', 'gfs')],
    ['a literal SAS', EXAMPLE.replace('account: stdrprod', 'account: stdrprod, sas: "abc"')],
    ['a later key', `${EXAMPLE}recovery: {}\n`],
  ])('both refuse %s', (_what, content) => {
    expect(() => parseDr(content, 'dr.yml')).toThrow();
    expect(validate(parse(content))).toBe(false);
  });
});

/** Every property of every object in the schema, with its path. */
function* properties(node: JsonSchema, path: string[] = []): Generator<[path: string, schema: JsonSchema]> {
  for (const [key, property] of Object.entries(node.properties ?? {})) {
    yield [[...path, key].join('.'), property];
    yield* properties(property, [...path, key]);
  }
  for (const branch of node.oneOf ?? []) yield* properties(branch, path);
  if (typeof node.additionalProperties === 'object') yield* properties(node.additionalProperties, [...path, '*']);
  if (node.items) yield* properties(node.items, [...path, '[]']);
}
const all = [...properties(schema)];

describe('every key', () => {
  test('is found at all', () => {
    expect(all.length).toBeGreaterThan(40);
  });
  test.each(all)('%s has a description and an example that is valid', (_path, property) => {
    expect(property.description).toMatch(/^\S.*[.)]$/s);
    expect(property.examples).toHaveLength(1);
    const example = new Ajv({ strict: true }).compile(property);
    expect([example(property.examples?.[0]), example.errors]).toEqual([true, null]);
  });
});

const configured = steps.flatMap((step) =>
  Object.entries(step.inputs).flatMap(([name, spec]) =>
    configPaths(spec).flatMap((path) => (path === '.' ? [] : [[`${step.name} ${name} (${path})`, spec, path] as const])),
  ),
);

describe('what steps read from dr.yml', () => {
  test.each(configured)('%s is a key of the file with the same choices and default', (_name, spec, where) => {
    const path = where.startsWith('/') ? where.slice(1).split('.') : ['components', 'x', ...where.split('.')];
    // A step about any kind reads the keys of all of them.
    const property = KINDS.names.map((kind) => schemaAt(path, { components: { x: { kind } } }, schema)).find((one) => one !== undefined);
    expect(property).toBeDefined();
    if (spec.choices && property?.enum) expect([...property.enum].sort()).toEqual([...spec.choices].sort());
    if (property?.default !== undefined) expect(String(property.default as string | number)).toBe(spec.default);
  });
});

test('what init writes in the first line of dr.yml is where the schema is published, and "config schema" prints the same', async () => {
  const [header = ''] = initFiles({ ...ANSWERS }, { repository: REPOSITORY, tag: TAG, taskMajor: 1 })[0]?.content.split('\n') ?? [];
  const url = /\$schema=(\S+)$/.exec(header)?.[1] ?? '';
  // raw.githubusercontent.com/<repository>/<tag>/<path>: the file lies at that path in the repository.
  expect(url).toBe(`https://raw.githubusercontent.com/${REPOSITORY}/${TAG}/dr.schema.json`);
  expect(existsSync('dr.schema.json')).toBe(true);
  const printed: string[] = [];
  const program = new Command();
  register(program, { out: (text) => printed.push(text) });
  await program.parseAsync(['config', 'schema'], { from: 'user' });
  expect(JSON.parse(printed.join(''))).toEqual(schema);
});

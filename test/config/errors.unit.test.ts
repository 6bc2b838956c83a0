// Every way a dr.yml can be wrong, and the exact sentence that says so.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { parseDr } from '../../shared/config/load.ts';
import { ConfigError } from '../../shared/config/problem.ts';

/** A valid file with one line of the component replaced or added. */
function withComponent(...lines: string[]): string {
  return [
    'version: 1',
    'name: shop',
    'stores: { a: { kind: folder, path: /b } }',
    'components:',
    '  db:',
    '    kind: mongodb',
    ...lines,
  ].join('\n');
}
const SOURCE = '    source: { uri: "${env:MONGODB_URI}" }';

function problemsOf(content: string): string[] {
  try {
    parseDr(content, 'dr.yml');
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    expect(thrown.kind).toBe('usage');
    return thrown.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  }
  return [];
}

const top = (extra: string): string => `${withComponent(SOURCE)}\n${extra}`;

describe('one slip gives one sentence with line, column and path', () => {
  test.each<[what: string, content: string, problem: string]>([
    [
      'an unknown key',
      top('nmae: x'),
      '8:1 nmae: unknown key. Known here: version, name, objectives, stores, vault, keys, components, notify',
    ],
    [
      'a misspelt key',
      withComponent(SOURCE, '    retention: { dialy: 7, last: 1 }'),
      '8:18 components.db.retention.dialy: unknown key. Did you mean daily?',
    ],
    [
      'a misspelt required key',
      withComponent('    sorce: { uri: "mongodb://localhost" }'),
      '7:5 components.db.sorce: unknown key. Did you mean source?',
    ],
    [
      'a missing key',
      withComponent('    source: {}'),
      '7:13 components.db.source: expected one of uri (a connection string) and kubernetes (a pod)',
    ],
    [
      'a pod that is named twice',
      withComponent('    source: { kubernetes: { namespace: chat, pod: mongodb-0, selector: app=mongodb } }'),
      '7:27 components.db.source.kubernetes: expected one of selector (labels) and pod (a name)',
    ],
    [
      'a namespace that is none',
      withComponent('    source: { kubernetes: { namespace: Chat, pod: mongodb-0 } }'),
      '7:40 components.db.source.kubernetes.namespace: expected a name of lower-case letters, digits and dashes, such as rocketchat, found "Chat"',
    ],
    [
      'a password in the connection string of a pod',
      withComponent('    source: { kubernetes: { namespace: chat, pod: mongodb-0, uri: "mongodb://root:geheim@localhost/" } }'),
      '7:67 components.db.source.kubernetes.uri: holds a password in an address: a secret must not be in this file. Keep it in a secret of the CI system and write ${env:NAME}, or only the password as ${env:PASSWORD}. Change the secret if the file was ever pushed',
    ],
    ['a key without a value', withComponent('    source:'), '7:5 components.db.source: has no value: expected a mapping'],
    [
      'a wrong word',
      withComponent(SOURCE, '    verify: fulll'),
      '8:13 components.db.verify: expected one of full, sample, none, found "fulll". Did you mean full?',
    ],
    ['a wrong type', withComponent(SOURCE, '    engine: 3'), '8:13 components.db.engine: expected one of auto, tools, driver, found 3'],
    [
      'a number out of range where a word would do, too',
      withComponent(SOURCE, '    retention: { daily: 0 }'),
      '8:25 components.db.retention.daily: expected a whole number from 1 to 10000, or unlimited, found 0',
    ],
    [
      'a text for a number',
      withComponent(SOURCE, '    compression: { level: "3" }'),
      '8:27 components.db.compression.level: expected a whole number from 1 to 19, found "3"',
    ],
    [
      'a number out of range',
      withComponent(SOURCE, '    limits: { maxShrink: 101 }'),
      '8:26 components.db.limits.maxShrink: expected a whole number from 1 to 100, found 101',
    ],
    [
      'a word for a mapping',
      withComponent(SOURCE, '    compression: zstd'),
      '8:18 components.db.compression: expected a mapping, such as { kind: zstd, level: 3 }, found "zstd"',
    ],
    [
      'a word for a list',
      withComponent(SOURCE, '    include: shop'),
      '8:14 components.db.include: expected a list, such as [rocketchat], found "shop"',
    ],
    [
      'an empty list',
      withComponent(SOURCE, '    include: []'),
      '8:14 components.db.include: expected at least one entry, such as [rocketchat]',
    ],
    [
      'a comma in a namespace',
      withComponent(SOURCE, '    include: ["a,b"]'),
      '8:15 components.db.include[0]: expected a database (shop) or a collection (shop.orders), found "a,b"',
    ],
    [
      'a connection string of something else',
      withComponent('    source: { uri: postgres://h/x }'),
      '7:20 components.db.source.uri: expected a connection string, such as ${env:MONGODB_URI} or mongodb://localhost:27017',
    ],
    ['a store that is not there', withComponent(SOURCE, '    store: b'), '8:12 components.db.store: there is no store "b". stores has a'],
    [
      'a copy to the same store',
      withComponent(SOURCE, '    copies: [a]'),
      '8:14 components.db.copies[0]: a copy must go to another store than the backup itself',
    ],
    [
      'an empty retention',
      withComponent(SOURCE, '    retention: {}'),
      '8:16 components.db.retention: expected a preset or at least one rule, such as daily: 7',
    ],
    [
      'a preset beside rules',
      withComponent(SOURCE, '    retention: { preset: 14d, last: 3 }'),
      '8:26 components.db.retention.preset: a preset and rules exclude each other: keep one of them',
    ],
    [
      'an unknown preset',
      withComponent(SOURCE, '    retention: { preset: gfs }'),
      '8:26 components.db.retention.preset: expected daily-weekly-monthly, such as 7-4-6, or days, such as 14d, or a name, such as data-remote, found "gfs"',
    ],
    [
      'a bad cron field',
      withComponent(SOURCE, '    schedule: "61 2 * * *"'),
      '8:15 components.db.schedule: expected a cron expression of five fields, such as "17 2 * * *", or words, such as "first sunday at 00:17" (Invalid value for minute: 61)',
    ],
    [
      'a cron with seconds',
      withComponent(SOURCE, '    schedule: 0 17 2 * * *'),
      '8:15 components.db.schedule: expected a cron expression of five fields, such as "17 2 * * *", or words, such as "first sunday at 00:17", found "0 17 2 * * *"',
    ],
    [
      'a day that never comes',
      withComponent(SOURCE, '    schedule: 0 0 30 2 *'),
      '8:15 components.db.schedule: expected a time that exists: this one never comes',
    ],
    ['a bad duration', top('objectives: { rpo: 1 day }'), '8:20 objectives.rpo: expected a duration, such as 24h, found "1 day"'],
    ['a number for a duration', top('objectives: { rto: 90 }'), '8:20 objectives.rto: expected a duration, such as 90m, found 90'],
    ['a zero duration', top('objectives: { rpo: 0h }'), '8:20 objectives.rpo: expected a duration longer than zero'],
    [
      'an unknown kind',
      top('vault: { kind: azure-keyvault, url: https://x }'),
      '8:16 vault.kind: expected one of azure-key-vault, folder, found "azure-keyvault". Did you mean azure-key-vault?',
    ],
    ['no kind', top('vault: { url: https://x }'), '8:8 vault.kind: is missing: expected one of azure-key-vault, folder'],
    [
      'a vault address without https',
      top('vault: { kind: azure-key-vault, url: kv-dr-prod }'),
      "8:38 vault.url: expected the vault's address, such as https://kv-dr-prod.vault.azure.net",
    ],
    [
      'keys that need another vault',
      top('keys: [{ kind: key-vault-secret }]'),
      '8:8 keys[0]: kind key-vault-secret needs a vault of kind azure-key-vault in this file',
    ],
    [
      'a key by name without its vault',
      top('keys: [{ kind: key-vault-key, key: backups }]'),
      '8:8 keys[0]: kind key-vault-key needs a vault of kind azure-key-vault in this file',
    ],
    ['no recipients', top('keys: []'), '8:7 keys: expected at least one key recipient: without one no one could open a backup'],
    [
      'a capital in a name',
      withComponent(SOURCE).replace('  db:', '  DB:'),
      '5:3 components.DB: expected a component name of lower-case letters, digits and dashes, at most 40 characters',
    ],
    [
      'a dot-dot name',
      withComponent(SOURCE).replace('  db:', '  "../x":'),
      '5:3 components.../x: expected a component name of lower-case letters, digits and dashes, at most 40 characters',
    ],
    [
      'a line break in a name',
      withComponent(SOURCE).replace('  db:', '  "a\\nb":'),
      '5:3 components.a?b: expected a component name of lower-case letters, digits and dashes, at most 40 characters',
    ],
    [
      'an overlong name',
      withComponent(SOURCE).replace('  db:', `  ${'a'.repeat(41)}:`),
      `5:3 components.${'a'.repeat(41)}: expected a component name of lower-case letters, digits and dashes, at most 40 characters`,
    ],
    [
      'a prefix that climbs',
      withComponent(SOURCE).replace('kind: folder, path: /b', 'kind: azure-blob, account: abc, container: abc, prefix: a/../b'),
      '3:72 stores.a.prefix: expected names separated by /, without . or .., found "a/../b"',
    ],
    [
      'another version of the file',
      withComponent(SOURCE).replace('version: 1', 'version: 2'),
      '1:10 version: expected 1, the one version of this file so far, found 2',
    ],
    ['no components', 'version: 1\nname: shop\ncomponents: {}', '3:13 components: expected at least one component'],
    [
      'a list instead of a file',
      '- version: 1',
      '1:1 : expected a mapping of keys such as version, name, stores and components, found a list',
    ],
  ])('%s', (_what, content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });
});

describe('what a later version will read is refused by name', () => {
  test.each([
    [top('cluster: { context: x }'), '8:1 cluster: not yet supported by this version of Lifeboat'],
    [top('recovery: {}'), '8:1 recovery: not yet supported by this version of Lifeboat'],
    [
      withComponent(SOURCE, '  disks: { kind: volumes, store: a }'),
      '8:18 components.disks.kind: kind volumes is not yet supported by this version of Lifeboat',
    ],
  ])('%#', (content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });
});

describe('YAML', () => {
  test.each<[what: string, content: string, problem: string]>([
    ['a tab', 'version: 1\ncomponents:\n\tdb: {}\n', '3:1 : a tab indents this line: YAML wants spaces'],
    ['a key twice', 'version: 1\nname: a\nname: b\n', '3:1 : this key appears twice in the same mapping: keep one of them'],
    [
      'an open bracket',
      'version: 1\nname: [a\n',
      '3:1 : not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    ['an unknown anchor', 'version: 1\nname: *nowhere\n', '2:7 : there is no anchor &nowhere above'],
    ['two documents', 'version: 1\n---\nversion: 1\n', '2:1 : a second document starts here (---): dr.yml is one document'],
    ['an empty file', '# nothing\n', '1:1 : is empty. Start with: version: 1'],
    ['a huge file', `name: ${'a'.repeat(1_000_001)}`, '1:1 : is larger than 1 MB: this is not a dr.yml'],
  ])('%s is named with its place', (_what, content, problem) => {
    expect(problemsOf(content)).toEqual([problem]);
  });

  test('an alias bomb is refused before it is expanded', () => {
    const levels = Array.from({ length: 12 }, (_, level) => `l${level + 1}: &l${level + 1} [${Array(9).fill(`*l${level}`).join(', ')}]`);
    expect(problemsOf(['l0: &l0 [x]', ...levels].join('\n'))).toEqual([
      '13:18 : uses aliases (*name) more than 100 times: write the values out',
    ]);
  });

  test('anchors and merge keys are fine, and a problem in a merged value points at where it stands', () => {
    const file = (level: string): string => {
      const second = '  two:\n    <<: *one\n    include: [b]';
      return `${withComponent(SOURCE, `    compression: { level: ${level} }`).replace('  db:', '  one: &one')}\n${second}`;
    };
    expect(problemsOf(file('9'))).toEqual([]);
    expect(problemsOf(file('99'))).toEqual([
      '8:27 components.one.compression.level: expected a whole number from 1 to 19, found 99',
      '8:27 components.two.compression.level: expected a whole number from 1 to 19, found 99',
    ]);
  });

  test('a byte order mark and Windows line ends do no harm', () => {
    expect(problemsOf(`\uFEFF${withComponent(SOURCE).replaceAll('\n', '\r\n')}`)).toEqual([]);
  });
});

describe('references', () => {
  test.each([
    ['${MONGODB_URI}', '${MONGODB_URI} does not say where to look: write ${env:MONGODB_URI}'],
    ['${secret:x}', 'expected ${env:NAME} or ${vault:name}'],
    ['${env:MY-URI}', 'expected ${env:NAME} with a name of letters, digits and underscores'],
    ['${vault:my_uri}', 'expected ${vault:name} with a name of letters, digits and dashes'],
    ['${env:URI', 'a reference that starts with ${ has no closing }'],
    [
      '${{ secrets.URI }}',
      'expressions ${{ … }} are not evaluated in dr.yml: set an environment variable in the workflow and write ${env:NAME}',
    ],
    ['$(MONGODB_URI)', 'macros $(…) are not evaluated in dr.yml: set an environment variable in the pipeline and write ${env:NAME}'],
    ['${vault:mongodb-uri}', 'there is no vault in this file to read the secret from'],
  ])('%s is explained', (uri, message) => {
    expect(problemsOf(withComponent(`    source: { uri: "${uri}" }`))).toEqual([`7:20 components.db.source.uri: ${message}`]);
  });

  test('the vault cannot be named by a secret of itself', () => {
    expect(problemsOf(top('vault: { kind: azure-key-vault, url: "${vault:x}" }'))).toEqual([
      '8:38 vault.url: the vault cannot be found in itself: use ${env:NAME}',
    ]);
  });
});

describe('literal secrets', () => {
  const PLANTED = 'Xy7hunter2Qz8';
  test.each([
    [
      'a password in a connection string',
      `    source: { uri: "mongodb://admin:${PLANTED}@db.example/" }`,
      'holds a password in an address',
    ],
    ['a percent-encoded one', `    source: { uri: "mongodb+srv://admin:%40${PLANTED}@db.example/" }`, 'holds a password in an address'],
    [
      'one that is only half a reference',
      `    source: { uri: "mongodb://admin:\${env:A}${PLANTED}@db.example/" }`,
      'holds a password in an address',
    ],
    [
      'a certificate password',
      `    source: { uri: "mongodb://db/?tlsCertificateKeyFilePassword=${PLANTED}" }`,
      'holds a password in an address',
    ],
    ['a shared access signature', `    source: { uri: "https://x/c?sv=2024-11-04&sig=${PLANTED}%3D" }`, 'holds a shared access signature'],
    ['an account key', `    source: { uri: "AccountName=a;AccountKey=${PLANTED}==" }`, 'holds an account key'],
    ['a Slack webhook', `    source: { uri: "https://hooks.slack.com/services/T0/B0/${PLANTED}" }`, "holds a webhook's token"],
    ['a Rocket.Chat webhook', `    source: { uri: "https://chat.example/hooks/5f5f5f5f5f/${PLANTED}" }`, "holds a webhook's token"],
    ['a GitHub token', `    source: { uri: "ghp_${PLANTED}${PLANTED}" }`, 'holds an access token'],
    ['a private key', `    source: { uri: "-----BEGIN RSA PRIVATE KEY-----${PLANTED}" }`, 'holds a private key'],
  ])('%s is found, explained, and not repeated', (_what, line, message) => {
    const problems = problemsOf(withComponent(line));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^7:20 components\.db\.source\.uri: /);
    expect(problems[0]).toContain(message);
    expect(problems[0]).not.toContain(PLANTED);
  });

  test('one in a comment is found, too', () => {
    const problems = problemsOf(`${withComponent(SOURCE)}\n  # was mongodb://admin:${PLANTED}@db/`);
    expect(problems).toEqual([expect.stringMatching(/^8:3 : holds a password in an address/)]);
    expect(problems.join()).not.toContain(PLANTED);
  });

  test('one in a wrong place is not repeated by the message about the place', () => {
    for (const line of [
      `    verify: "mongodb://a:${PLANTED}@h/"`,
      `    engine: ghp_${PLANTED}${PLANTED}`,
      `    include: "x sig=${PLANTED}"`,
    ]) {
      expect(problemsOf(withComponent(SOURCE, line)).join()).not.toContain(PLANTED);
    }
  });

  test.each([
    'mongodb://localhost:27017',
    'mongodb://admin@db/',
    'mongodb://admin:${env:PW}@db:27017/?replicaSet=rs0',
    '${env:URI}',
    'mongodb://${env:USER}:${env:PW}@db/',
  ])('%s holds none', (uri) => {
    expect(problemsOf(withComponent(`    source: { uri: "${uri}" }`))).toEqual([]);
  });
});

test('all problems are told at once, in the order of the file', () => {
  const content = withComponent('    source: { url: x }', '    verify: maybe', '    store: nowhere', '    schedule: soon').replace(
    'name: shop',
    'name: Shop',
  );
  expect(() => parseDr(content, 'conf/dr.yml')).toThrow(
    [
      '5 problems in conf/dr.yml:',
      '- conf/dr.yml:2:7 name: expected a name of lower-case letters, digits and dashes, at most 63 characters, found "Shop"',
      '- conf/dr.yml:7:15 components.db.source.url: unknown key. Did you mean uri?',
      '- conf/dr.yml:8:13 components.db.verify: expected one of full, sample, none, found "maybe"',
      '- conf/dr.yml:9:12 components.db.store: there is no store "nowhere". stores has a',
      '- conf/dr.yml:10:15 components.db.schedule: expected a cron expression of five fields, such as "17 2 * * *", or words, such as "first sunday at 00:17", found "soon"',
    ].join('\n'),
  );
});

test('a single problem stands on one line', () => {
  expect(() => parseDr(top('objectives: { rpo: soon }'), 'dr.yml')).toThrow(
    /^dr\.yml:8:20 objectives\.rpo: expected a duration, such as 24h, found "soon"$/,
  );
});

test("whatever is wrong at whichever place, the sentence is ours and not the schema library's", () => {
  const example = `${readFileSync('docs/dr.example.yml', 'utf8')}
objectives: { rpo: 24h, phases: { mongodb: 30m } }
`.replace(/^objectives:\n(?: .*\n)+/m, '');
  const whole = (): Record<string, unknown> => {
    const file = parse(example) as { components: { mongodb: object } };
    Object.assign(file.components.mongodb, {
      compression: { level: 3 },
      limits: { maxShrink: 50 },
      retention: { last: 3, daily: 7, within: '14d', stores: { offsite: { preset: '7-4-6' } } },
    });
    return file;
  };
  expect(problemsOf(stringify(whole()))).toEqual([]);
  const said = new Set<string>();
  for (const path of pathsOf(whole())) {
    for (const wrong of [null, '', 0, -1, 1.5, 1e9, true, [], {}, ['', 1], { a: 1 }, 'x'.repeat(100)]) {
      const file = whole();
      const parent = path.slice(0, -1).reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)[key], file);
      (parent as Record<PropertyKey, unknown>)[path.at(-1)] = wrong;
      for (const problem of problemsOf(stringify(file))) said.add(problem.replace(/^\S+ \S*: /, ''));
    }
  }
  expect(said.size).toBeGreaterThan(50);
  expect(
    [...said].filter((text) => /Invalid|Too (?:small|big)|expected (?:number|string|int)|one of(?: *$| *,)|has *$/.test(text)),
  ).toEqual([]);
});

/** The path of every key and every list entry. */
function pathsOf(value: unknown): PropertyKey[][] {
  if (typeof value !== 'object' || value === null) return [];
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return keys.flatMap((key) => [[key], ...pathsOf((value as Record<PropertyKey, unknown>)[key]).map((rest) => [key, ...rest])]);
}

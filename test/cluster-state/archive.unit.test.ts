import { describe, expect, test } from '@jest/globals';
import { pack } from 'tar-stream';
import { objectOfPath, objectPath, objectsOf, type ArchiveFile } from '../../shared/cluster-state/archive.ts';
import { newStateInspector, type StateReport } from '../../shared/cluster-state/inspector.ts';
import { VerificationError } from '../../shared/step/errors.ts';
import { archiveFiles, CONFIG_MAPS, DEPLOYMENTS, each, NAMESPACES, object, packed, release, SECRETS } from './objects.ts';

const FILES = archiveFiles(
  [
    [NAMESPACES, [object(NAMESPACES, 'shop')]],
    [
      CONFIG_MAPS,
      [object(CONFIG_MAPS, 'shop/one', { data: { a: '1' } }), object(CONFIG_MAPS, 'chat/one', { data: { text: 'ä'.repeat(3000) } })],
    ],
    [
      SECRETS,
      [
        release('shop/web', { revision: 9, status: 'superseded' }),
        release('shop/web', { revision: 10, status: 'deployed', values: { password: 'hunter2' } }),
        release('shop/web', { revision: 11, status: 'failed' }),
        object(SECRETS, 'shop/sh.helm.release.v1.bad.v1', { type: 'helm.sh/release.v1', data: { release: 'AAAA' } }),
      ],
    ],
    [DEPLOYMENTS, []],
  ],
  { unread: [{ what: 'metrics.k8s.io/v1beta1', why: 'the server is currently unable to handle the request' }] },
);

async function inspect(bytes: Uint8Array, piece = bytes.length): Promise<StateReport> {
  const inspector = newStateInspector();
  const buffer = Buffer.alloc(piece);
  for (let at = 0; at < bytes.length; at += piece) {
    const length = Buffer.from(bytes.subarray(at, at + piece)).copy(buffer);
    await inspector.write(buffer.subarray(0, length));
    // The writer uses the buffer again.
    buffer.fill(0x5a);
  }
  return inspector.end();
}

/** A tar as any program writes it. */
async function tarOf(files: readonly (ArchiveFile & { type?: 'symlink'; linkname?: string })[]): Promise<Buffer> {
  const tar = pack();
  for (const { bytes, ...header } of files) tar.entry(header, header.type === undefined ? Buffer.from(bytes) : '');
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

const [FIRST, SECOND] = FILES as [ArchiveFile, ArchiveFile];
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
/** The archive with one file more before its index. */
const withFile = (name: string, value: unknown): ArchiveFile[] => [
  ...FILES.slice(0, -1),
  { name, bytes: typeof value === 'string' ? Buffer.from(value) : json(value) },
  ...FILES.slice(-1),
];
const refusal = (bytes: Uint8Array): Promise<unknown> =>
  inspect(bytes).then(
    () => 'taken',
    (thrown: unknown) => thrown,
  );

test('the report has counts, releases and what was not read, and nothing secret', async () => {
  const report = await inspect(await packed(FILES));
  expect(report).toMatchObject({
    objects: 7,
    helm: [
      { namespace: 'shop', release: 'web', revision: 10, status: 'deployed', chart: 'rocketchat', version: '6.1.0', appVersion: '7.0' },
    ],
    unreadableReleases: ['shop/sh.helm.release.v1.bad.v1'],
    unread: [{ what: 'metrics.k8s.io/v1beta1' }],
  });
  expect(report.types.map(({ plural, objects, namespaces }) => [plural, objects, namespaces.map((one) => one.namespace)])).toEqual([
    ['namespaces', 1, [null]],
    ['configmaps', 2, ['shop', 'chat']],
    ['secrets', 4, ['shop']],
    ['deployments', 0, []],
  ]);
  expect(JSON.stringify(report)).not.toContain('hunter2');
  expect(report).not.toHaveProperty('names');
});

test('pieces of any size make the same report, and the same objects the same bytes', async () => {
  const bytes = await packed(FILES);
  const report = await inspect(bytes);
  for (const piece of [1, 511, 513, 4096]) expect(await inspect(bytes, piece)).toEqual(report);
  expect((await packed(FILES)).equals(bytes)).toBe(true);
});

test('a cut anywhere is noticed', async () => {
  const bytes = await packed(FILES);
  for (let length = 0; length < bytes.length; length += 256) {
    expect([length, await refusal(bytes.subarray(0, length))]).toEqual([length, expect.any(VerificationError)]);
  }
  expect(await refusal(bytes.subarray(0, -1))).toBeInstanceOf(VerificationError);
  expect(await refusal(Buffer.concat([bytes, Buffer.alloc(512)]))).toBeInstanceOf(VerificationError);
});

describe('a hostile archive is refused:', () => {
  const good = object(CONFIG_MAPS, 'shop/x');
  test.each([
    ['a path that leads out', withFile('resources/../../../../etc/passwd', good), 'no object'],
    ['a path with .. in its place', withFile('resources/core/v1/configmaps/../x.json', good), 'no object'],
    ['an absolute path', withFile('/resources/core/v1/configmaps/shop/x.json', good), 'no object'],
    ['an object twice', withFile('resources/core/v1/configmaps/shop/one.json', object(CONFIG_MAPS, 'shop/one')), 'twice'],
    ['an object of another name', withFile('resources/core/v1/configmaps/shop/y.json', good), '"x"'],
    ['an object of another namespace', withFile('resources/core/v1/configmaps/chat/x.json', good), '"shop"'],
    ['an object of another group', withFile('resources/apps/v1/configmaps/shop/x.json', good), '"v1"'],
    ['an object of another kind', withFile('resources/core/v1/configmaps/shop/x.json', { ...good, kind: 'Secret' }), 'is a Secret'],
    ['an object that the index does not count', withFile('resources/core/v1/configmaps/shop/x.json', good), 'index says 2'],
    [
      'a type that the index does not name',
      withFile('resources/core/v1/pods/shop/x.json', { ...good, kind: 'Pod' }),
      'does not name /v1/pods',
    ],
    ['no JSON', withFile('resources/core/v1/configmaps/shop/x.json', '{"apiVersion":'), 'not JSON'],
    ['a list', withFile('resources/core/v1/configmaps/shop/x.json', []), 'not an object'],
    ['nesting without end', withFile('resources/core/v1/configmaps/shop/x.json', `{"a":${'['.repeat(100_000)}`), 'levels deep'],
    ['a second header', withFile('archive.json', { format: 'lifeboat-cluster-state' }), 'twice'],
    ['no header', FILES.slice(1), 'begins with'],
    [
      'a header of a later version',
      [{ ...FIRST, bytes: json({ format: 'lifeboat-cluster-state', version: 2 }) }, ...FILES.slice(1)],
      'reads 1',
    ],
    ['an index that is none', [...FILES.slice(0, -1), { name: 'index.json', bytes: json({ types: [{}], unread: [] }) }], 'not one'],
    ['a file after the index', [...FILES, SECOND], 'after its index'],
  ])('%s', async (_what, files: ArchiveFile[], said) => {
    const found = await refusal(await tarOf(files));
    expect(found).toBeInstanceOf(VerificationError);
    expect((found as Error).message).toContain(said);
  });

  test('a link', async () => {
    const link = {
      name: 'resources/core/v1/configmaps/shop/x.json',
      bytes: Buffer.alloc(0),
      type: 'symlink' as const,
      linkname: '/etc/passwd',
    };
    expect(String(await refusal(await tarOf([FIRST, link, ...FILES.slice(1)])))).toContain('symlink');
  });

  test('a file larger than any object, by its header alone', async () => {
    const bytes = await packed(FILES);
    bytes.write('77777777777 ', 512 + 512 + 124);
    const head = bytes.subarray(1024, 1536);
    head.fill(' ', 148, 156);
    const sum = head.reduce((all, byte) => all + byte, 0);
    head.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    expect(String(await refusal(bytes))).toMatch(/no object has more than/);
  });
});

test.each([
  [{ group: '', version: 'v1', plural: 'configmaps', namespace: 'shop', name: 'a' }, 'resources/core/v1/configmaps/shop/a.json'],
  [
    { group: 'rbac.authorization.k8s.io', version: 'v1', plural: 'clusterroles', namespace: undefined, name: 'system:a b' },
    'resources/rbac.authorization.k8s.io/v1/clusterroles/_cluster/system:a b.json',
  ],
])('the path of %j is %s', (id, path) => {
  expect(objectPath(id)).toBe(path);
  expect(objectOfPath(path)).toEqual(id);
});

test('names at their limits come back', async () => {
  const long = `${'n'.repeat(63)}/${`${'x'.repeat(60)}.`.repeat(4)}end`;
  const bytes = await packed(
    archiveFiles([[CONFIG_MAPS, [object(CONFIG_MAPS, long), object(CONFIG_MAPS, `shop/${'é'.repeat(100)}`)]]], { names: true }),
  );
  const names: string[] = [];
  for await (const { object: one } of objectsOf(each([bytes]))) names.push(`${one.metadata.namespace ?? ''}/${one.metadata.name}`);
  expect(names).toEqual([long, `shop/${'é'.repeat(100)}`]);
  expect((await inspect(bytes)).names).toHaveLength(2);
});

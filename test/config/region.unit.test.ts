// A bucket without a region is found before a backup fails for it.
import { afterEach, expect, test } from '@jest/globals';
import { parseDr } from '../../shared/config/load.ts';

const before = process.env['AWS_REGION'];
afterEach(() => {
  if (before === undefined) delete process.env['AWS_REGION'];
  else process.env['AWS_REGION'] = before;
});

function noticesOf(store: string): string[] {
  const lines = ['version: 1', 'name: shop', `stores: { bucket: { kind: s3, bucket: backups${store} } }`];
  const components = 'components: { m: { kind: mongodb, source: { uri: "${env:URI}" } } }';
  return parseDr([...lines, components, ''].join('\n'), 'dr.yml').notices.map(({ line, path, message }) => `${line} ${path} ${message}`);
}

test('no region in the file and none in the environment', () => {
  delete process.env['AWS_REGION'];
  expect(noticesOf('')).toContainEqual(expect.stringMatching(/^3 stores\.bucket has no region, and AWS_REGION is not set here/));
});

test.each([', region: eu-central-1', ', endpoint: "https://s3.example.org"'])('nothing to say with%s', (store) => {
  delete process.env['AWS_REGION'];
  expect(noticesOf(store).filter((notice) => notice.includes('region'))).toEqual([]);
});

test('the environment may have it', () => {
  process.env['AWS_REGION'] = 'eu-central-1';
  expect(noticesOf('').filter((notice) => notice.includes('region'))).toEqual([]);
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { COMMONJS_BANNER, COMMONJS_GLOBALS, refuseNamedImports, refuseUndefinedGlobals } from '../../scripts/builders/commonjs.ts';

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-commonjs-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let packages = 0;
/** Bundles one made-up package as the build does, and gives what it exports. */
async function bundled(source: string): Promise<Record<string, unknown>> {
  const name = `package-${(packages += 1)}`;
  const home = join(folder, 'node_modules', name);
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'index.js'), source);
  const outfile = join(folder, `${name}.mjs`);
  const { metafile } = await build({
    stdin: { contents: `export * from '${name}'; export { default } from '${name}';`, resolveDir: folder },
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    metafile: true,
    logLevel: 'silent',
    banner: { js: COMMONJS_BANNER },
    define: COMMONJS_GLOBALS,
  });
  refuseUndefinedGlobals(metafile, '.');
  return (await import(pathToFileURL(outfile).href)) as Record<string, unknown>;
}

describe('a CommonJS package in the bundle', () => {
  test.each([
    ['__dirname', 'module.exports = __dirname;', folder],
    ['__filename', 'exports.default = typeof __filename; exports.__esModule = true;', 'string'],
    ['require', "module.exports = require('node:path').sep;", '/'],
    ['module and exports', 'module.exports = module.exports === exports;', true],
    ['a name of its own', "const __dirname = 'own'; module.exports = __dirname;", 'own'],
  ])('has %s', async (_what, source, value) => {
    expect((await bundled(source)).default).toBe(value);
  });

  test('may ask whether there is a module', async () => {
    expect((await bundled("export default typeof module === 'undefined' ? 'none' : 'some';")).default).toBe('none');
  });

  test.each([
    ['module', 'export default () => module.hot;'],
    ['exports', 'export default () => exports.name;'],
  ])('is refused with its name where it counts on %s in an ES module', async (name, source) => {
    const refused = bundled(source);
    await expect(refused).rejects.toThrow(/globals of CommonJS that the bundle does not define/);
    const file = relative(resolve('.'), join(folder, 'node_modules', `package-${packages}`, 'index.js'));
    await expect(refused).rejects.toThrow(`${name}: used in ${relative('.', join(folder, `package-${packages}.mjs`))}, perhaps by ${file}`);
  });
});

describe('a CommonJS package that is imported late', () => {
  async function imported(format: 'cjs' | 'esm', statement: string): Promise<void> {
    const name = `late-${(packages += 1)}`;
    const home = join(folder, 'node_modules', name);
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'index.js'), format === 'cjs' ? 'exports.parse = () => 1;' : 'export const parse = () => 1;');
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, `${statement.replace('PACKAGE', name)}; export {};`);
    const { metafile } = await build({
      ...{ entryPoints: [file], bundle: true, format: 'esm', platform: 'node', metafile: true, write: false, logLevel: 'silent' },
    });
    refuseNamedImports(metafile, '.');
  }

  test('is refused where a named export is taken, which the bundle does not have', async () => {
    await expect(imported('cjs', "const { parse } = await import('PACKAGE'); parse()")).rejects.toThrow(
      /have only `default`[^]*late-\d+\.mjs: late-\d+$/,
    );
  });

  test.each([
    ['its default is taken', 'cjs', "const { default: all } = await import('PACKAGE'); all.parse()"],
    ['it is an ES module', 'esm', "const { parse } = await import('PACKAGE'); parse()"],
  ] as const)('is taken where %s', async (_what, format, statement) => {
    await expect(imported(format, statement)).resolves.toBeUndefined();
  });
});

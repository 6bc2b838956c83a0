// A CommonJS package in an ES module: the globals it counts on are there, or the build says which are not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/**
 * Runs before every module. esbuild calls `require` for what is not in the bundle, Node.js's own modules above all. A package's folder is
 * the bundle's: none finds files of its own there, and none needs to.
 */
export const COMMONJS_BANNER =
  'import{createRequire as lifeboatRequire}from"node:module";const require=lifeboatRequire(import.meta.url),' +
  'lifeboatFilename=import.meta.filename,lifeboatDirname=import.meta.dirname;';

const MARK = 'lifeboatUndefined_';

/**
 * For esbuild's `define`: what each global of CommonJS is in the bundle. esbuild knows the scopes: it replaces neither what a module declares
 * itself nor what its own wrapper of a CommonJS module brings. What is left of `module` and `exports` then does not exist.
 */
export const COMMONJS_GLOBALS = {
  __filename: 'lifeboatFilename',
  __dirname: 'lifeboatDirname',
  module: `${MARK}module`,
  exports: `${MARK}exports`,
};

/**
 * The globals that a bundled module uses and the bundle does not have. Asking for their type is no use: the answer is right.
 * @param code an output of esbuild with COMMONJS_GLOBALS
 */
export function undefinedGlobals(code: string): string[] {
  const uses = code.matchAll(new RegExp(`(typeof\\s+)?\\b${MARK}(\\w+)`, 'g'));
  return [...new Set([...uses].flatMap(([, asked, name]) => (asked === undefined && name !== undefined ? [name] : [])))];
}

/**
 * @param folder against which the metafile's outputs are named
 * @throws Error naming the globals, the chunk and the packages in it that may use them
 */
export function refuseUndefinedGlobals(metafile: Metafile, folder: string): void {
  const problems = Object.entries(metafile.outputs).flatMap(([output, { inputs }]) =>
    undefinedGlobals(readFileSync(join(folder, output), 'utf8')).map((name) => {
      const users = Object.keys(inputs).filter((input) => input.includes('node_modules/') && usesName(join(folder, input), name));
      return `${name}: used in ${output}, perhaps by ${users.join(', ')}`;
    }),
  );
  if (problems.length === 0) return;
  throw new Error(`Bundled packages use globals of CommonJS that the bundle does not define:\n${problems.join('\n')}`);
}

function usesName(file: string, name: string): boolean {
  return new RegExp(`\\b${name}\\b`).test(readFileSync(file, 'utf8'));
}

/**
 * A CommonJS package that is imported by `import()` has one export in the bundle, `default`, whatever it has in Node.js.
 * @param folder against which the metafile's inputs are named
 * @throws Error naming the file and the package whose other exports it takes
 */
export function refuseNamedImports({ inputs }: Metafile, folder: string): void {
  const problems = Object.entries(inputs)
    .filter(([file]) => !file.includes('node_modules/'))
    .flatMap(([file, { imports }]) =>
      imports
        .filter(({ kind, path }) => kind === 'dynamic-import' && inputs[path]?.format === 'cjs')
        .flatMap(({ original = '' }) => (takesDefault(readFileSync(join(folder, file), 'utf8'), original) ? [] : [`${file}: ${original}`])),
    );
  if (problems.length === 0) return;
  throw new Error(
    `CommonJS packages have only \`default\` when import() brings them; import them at the top of a module that is itself loaded late:\n${problems.join('\n')}`,
  );
}

/** Whether a statement that imports the package mentions `default`. */
function takesDefault(source: string, name: string): boolean {
  const statements = source.split(';').filter((statement) => statement.includes(`await import('${name}')`));
  return statements.every((statement) => /\bdefault\b/.test(statement));
}

// dist/ by esbuild: tiny entries per step and host over shared chunks.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';
import type { AnyStep } from '../../shared/step/define.ts';
import { COMMONJS_BANNER, COMMONJS_GLOBALS, refuseNamedImports, refuseUndefinedGlobals } from './commonjs.ts';
import { sameVersionCopies } from './packages.ts';

/**
 * Bundles every entry into `outdir`. The same sources give the same bytes.
 * @throws Error when a package uses a global of CommonJS that the bundle does not define
 */
export async function bundle(steps: readonly AnyStep[], outdir: string): Promise<Metafile> {
  const entries = entrySources(steps);
  const result = await build({
    entryPoints: [...entries.keys()].map((out) => ({ in: `entry:${out}`, out })),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    // Azure's entries begin on Node 20; everything behind them runs on 24.
    target: 'node20',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    metafile: true,
    // Names stay, so that a stack trace in a bug report can be read.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning',
    banner: { js: COMMONJS_BANNER },
    // Native accelerators that ssh2 tries and does without; none is ever built here.
    external: ['cpu-features', '*.node'],
    // No module of a bundle is the script that was started; entries call what they need.
    define: { 'import.meta.main': 'false', ...COMMONJS_GLOBALS },
    plugins: [virtualEntries(entries), oneCopy()],
  });
  refuseUndefinedGlobals(result.metafile, '.');
  refuseNamedImports(result.metafile, '.');
  return result.metafile;
}

/** Output name (without extension) → source of the entry. */
function entrySources(steps: readonly AnyStep[]): Map<string, string> {
  const entries = new Map<string, string>();
  for (const { name } of steps) {
    // A static import would list every chunk that github.ts needs in each entry.
    entries.set(`github/${name}`, `const { runGithubStep } = await import('./github.ts');\nawait runGithubStep('${name}');`);
    // Static imports run before anything else, so what needs Node 24 is imported behind the check.
    entries.set(
      `azure/${name}`,
      `import { fileURLToPath } from 'node:url';\nimport { onNode24 } from './azure-node.ts';\n` +
        `await onNode24(fileURLToPath(import.meta.url), async () => (await import('./azure.ts')).runAzureStep('${name}'));`,
    );
  }
  entries.set('github/lifeboat', `const { runGithubChooser } = await import('./github.ts');\nawait runGithubChooser();`);
  entries.set('cli', `import './cli.ts';`);
  return entries;
}

function virtualEntries(entries: Map<string, string>): Plugin {
  return {
    name: 'entries',
    setup: (context) => {
      context.onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice('entry:'.length), namespace: 'entry' }));
      context.onLoad({ filter: /.*/, namespace: 'entry' }, ({ path }) => ({
        contents: entries.get(path) ?? '',
        loader: 'ts',
        resolveDir: resolve('shared/entries'),
      }));
    },
  };
}

/** Takes one copy of a package where npm had to install the same version several times (beside another major at the root). */
function oneCopy(): Plugin {
  // As esbuild names files: without links, in the system's own spelling.
  const real = (folder: string): string => (existsSync(folder) ? realpathSync(folder) : resolve(folder));
  const copies = [...sameVersionCopies(readFileSync('package-lock.json', 'utf8'))];
  const replaced = copies.map(([folder, kept]) => [real(folder), real(kept)] as const);
  return {
    name: 'one-copy',
    setup: (context) => {
      context.onResolve({ filter: /^[^.]/ }, async ({ path, pluginData, ...from }) => {
        if (pluginData === 'resolved' || from.namespace !== 'file') return undefined;
        const found = await context.resolve(path, { ...from, pluginData: 'resolved' });
        const copy = replaced.find(([folder]) => found.path.startsWith(`${folder}${sep}`));
        if (!copy) return undefined;
        return { ...found, path: found.path.replace(copy[0], copy[1]), pluginData: undefined };
      });
    },
  };
}

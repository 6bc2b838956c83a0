// Which options jest has, as jest itself knows them: a mistyped one is told before an hour of tests, or none, is run.
import { createRequire } from 'node:module';

interface JestCli {
  yargsOptions: Readonly<Record<string, { alias?: string | readonly string[] }>>;
}

/** The first option that jest does not have; undefined when it has all. */
export function unknownJestOption(args: readonly string[]): string | undefined {
  const end = args.indexOf('--');
  const options = (end < 0 ? args : args.slice(0, end)).filter((arg) => /^-[^-\d]|^--./.test(arg));
  if (options.length === 0) return undefined;
  // jest brings it along; it is no dependency of ours.
  const { yargsOptions } = createRequire(createRequire(import.meta.url).resolve('jest/package.json'))('jest-cli') as JestCli;
  const known = new Set(Object.entries(yargsOptions).flatMap(([name, { alias = [] }]) => [name, ...[alias].flat()]));
  return options.find((option) => {
    const [name = ''] = option.replace(/^--?(no-)?/, '').split('=');
    return !known.has(name) && !known.has(camelCase(name));
  });
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_dash, letter: string) => letter.toUpperCase());
}

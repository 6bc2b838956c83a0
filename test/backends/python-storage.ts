// Microsoft's own Python SDK for Azure Storage, in a virtual environment built once: the second, independent reader of our backups.
import { join } from 'node:path';
import { cachedBuild, contentKey, findProgram, runProgram } from './support.ts';

const REQUIREMENTS = ['azure-storage-blob==12.31.1', 'cryptography==50.0.2'];

/** The path of a `python` that has the SDK. Takes half a minute the first time. */
export async function pythonWithAzureStorage(): Promise<string> {
  const version = await runProgram('python3', ['--version']);
  const folder = await cachedBuild('python-storage', contentKey(version, ...REQUIREMENTS), async (target) => {
    await runProgram('python3', ['-m', 'venv', target]);
    await runProgram(join(target, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', ...REQUIREMENTS]);
  });
  return join(folder, 'bin', 'python');
}

/** Why the reader cannot be had on this machine; undefined when it can. */
export function missingForPythonStorage(): string | undefined {
  const missing = ['python3', 'zstd'].filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? undefined : `needs ${missing.join(' and ')} on PATH`;
}

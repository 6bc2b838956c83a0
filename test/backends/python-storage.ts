// Microsoft's own Python SDK for Azure Storage, in a virtual environment built once: the second, independent reader of our backups.
import { join } from 'node:path';
import { cachedBuild, contentKey, findProgram, runProgram } from './support.ts';

const REQUIREMENTS = ['azure-storage-blob==12.31.1', 'cryptography==50.0.2'];

/** What docs/read-backup.py says to install. */
const READER = ['cryptography==50.0.2', 'zstandard==0.25.0', 'xxhash==4.1.0', 'pymongo==4.20.1'];

/** The path of a `python` that has the SDK. Takes half a minute the first time. */
export async function pythonWithAzureStorage(): Promise<string> {
  return pythonWith('python-storage', REQUIREMENTS);
}

/** The path of a `python` that runs docs/read-backup.py. */
export async function pythonForReader(): Promise<string> {
  return pythonWith('python-reader', READER);
}

async function pythonWith(name: string, requirements: readonly string[]): Promise<string> {
  const version = await runProgram('python3', ['--version']);
  const folder = await cachedBuild(name, contentKey(version, ...requirements), async (target) => {
    await runProgram('python3', ['-m', 'venv', target]);
    await runProgram(join(target, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', ...requirements]);
  });
  return join(folder, 'bin', 'python');
}

/** Why the reader cannot be had on this machine; undefined when it can. */
export function missingForPythonStorage(): string | undefined {
  const missing = ['python3', 'zstd'].filter((name) => findProgram(name) === undefined);
  return missing.length === 0 ? undefined : `needs ${missing.join(' and ')} on PATH`;
}

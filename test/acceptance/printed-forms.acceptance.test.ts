// What README and docs print works as printed: in folders with blanks in their names, with an old Node.js first on PATH.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeIf } from '../support/needs.ts';
import { NODE_20 } from './host-process.ts';

const SCRIPTS = ['build', 'generate', 'drill', 'test', 'bench', 'faults', 'lifeboat'];

let root: string;
let clone: string;
let elsewhere: string;

/** Runs lines in bash, as a person types them: aliases count, and node is version 20. */
function shell(script: string, cwd: string): { status: number | null; out: string; err: string } {
  const run = spawnSync('bash', ['-c', `shopt -s expand_aliases\nset -e\n${script}`], {
    cwd,
    encoding: 'utf8',
    env: { PATH: `${dirname(NODE_20)}${delimiter}${process.env['PATH'] ?? ''}`, HOME: root, TMPDIR: process.env['TMPDIR'] ?? tmpdir() },
  });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

/** The line of the README that makes `lifeboat` a command. */
function readmeLine(): string {
  return /^\$ (\.\/scripts\/build && alias .*)$/m.exec(readFileSync('README.md', 'utf8'))?.[1] ?? '';
}

describeIf(process.platform !== 'win32', 'needs bash')('in a folder with blanks and a quote of another kind', () => {
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'printed forms '));
    clone = join(root, 'my "best" clone');
    elsewhere = join(root, 'another place');
    for (const folder of [clone, elsewhere]) mkdirSync(folder);
    for (const part of ['scripts', 'shared', 'azure-tasks', 'package.json', 'package-lock.json', 'tsconfig.json']) {
      cpSync(part, join(clone, part), { recursive: true });
    }
    symlinkSync(resolve('node_modules'), join(clone, 'node_modules'));
    writeFileSync(
      join(elsewhere, 'dr.yml'),
      'version: 1\nname: shop\ncomponents: { db: { kind: mongodb, source: { uri: "${env:U}" } } }\n',
    );
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  test("the README's line builds, and lifeboat works from another folder", () => {
    expect(shell('node --version', elsewhere).out).toMatch(/^v20\./);
    expect(readmeLine()).toContain('alias lifeboat=');
    const { status, out, err } = shell(`${readmeLine()}\ncd "${elsewhere}"\nlifeboat --version\nlifeboat config validate`, clone);
    expect([status, err]).toEqual([0, expect.not.stringContaining('rror')]);
    expect(out).toMatch(/lifeboat \d+\.\d+\.\d+ \(Node\.js v24\./);
    expect(out).toContain('dr.yml is valid');
  });

  test('scripts/lifeboat builds at its first call, and works by a link', () => {
    rmSync(join(clone, 'dist'), { recursive: true, force: true });
    rmSync(join(root, 'lifeboat'), { force: true });
    symlinkSync(join(clone, 'scripts', 'lifeboat'), join(root, 'lifeboat'));
    const { status, out } = shell('../lifeboat --version', elsewhere);
    expect([status, out]).toEqual([0, expect.stringMatching(/^lifeboat /)]);
    expect(existsSync(join(clone, 'dist', 'cli.mjs'))).toBe(true);
    expect(shell('../lifeboat no-such-command', elsewhere).status).toBe(2);
  });

  test('dist/cli.mjs on an old Node.js says what starts it', () => {
    const { status, err } = shell('node dist/cli.mjs --version', clone);
    expect([status, err]).toEqual([2, expect.stringContaining('scripts/lifeboat')]);
  });
});

describeIf(process.platform !== 'win32', 'needs bash')('every script', () => {
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'scripts-'));
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  describe.each(SCRIPTS)('./scripts/%s', (name) => {
    test('has --help with examples', () => {
      const { status, out } = shell(`${resolve('scripts', name)} --help`, root);
      expect([status, out]).toEqual([
        0,
        expect.stringContaining(name === 'lifeboat' ? 'lifeboat init' : `\nExamples:\n  ./scripts/${name}`),
      ]);
    });

    test('an unknown option is a usage error', () => {
      const { status, err } = shell(`${resolve('scripts', name)} --no-such-option`, root);
      expect([status, err]).toEqual([2, expect.stringContaining("unknown option '--no-such-option'")]);
    });
  });

  test.each([
    'bench --rounds many',
    'bench --size huge',
    'faults --rounds 0',
    'drill --size tiny',
    'build now',
    'generate --check now',
    'test unit --bial',
  ])('./scripts/%s is a usage error, too', (line) => {
    expect(shell(`${resolve('scripts')}/${line}`, root).status).toBe(2);
  });
});

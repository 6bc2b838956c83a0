// Words from other tools lead to the right command, and none of them runs something by surprise.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { verify } from '../../shared/cli/verify.ts';
import { createProgram } from '../../shared/cli/program.ts';
import { unknownCommand } from '../../shared/cli/unknown-command.ts';
import { findStep, steps } from '../../shared/steps/index.ts';
import { ALIASES, meaningsOf } from '../../shared/steps/words.ts';

const program = createProgram();
const fixOf = (...words: string[]): string => unknownCommand(program, words).fix ?? '';

describe('a word that is no command', () => {
  test.each([
    ['backup', 'backup-all'],
    ['backup', 'mongodb-backup'],
    ['Backup', 'mongodb-backup'],
    ['dump', 'mongodb-backup'],
    ['restore', 'mongodb-restore --dry-run'],
    ['recover', 'mongodb-restore --dry-run'],
    ['check', 'verify'],
    ['check', 'doctor'],
    ['validate', 'verify'],
    ['validate', 'config validate'],
    ['prune', 'apply-retention --dry-run'],
    ['forget', 'apply-retention --dry-run'],
    ['copy', 'copy-backups'],
    ['rollback', 'mongodb-restore --rollback --dry-run'],
    ['restore-backup', 'mongodb-restore --dry-run'],
    ['prune_snapshots', 'apply-retention --dry-run'],
    ['validate-backup', 'verify'],
    ['mongodb-bakup', 'mongodb-backup'],
    ['snapshot', 'list-backups'],
    ['lst', 'list-backups'],
    ['initt', 'init'],
  ])('%s suggests %s', (word, line) => {
    expect(fixOf(word)).toContain(`\n  lifeboat ${line} `);
  });

  test('two words of one name are put together', () => {
    expect(fixOf('mongodb', 'backup')).toMatch(/^Did you mean:\n {2}lifeboat mongodb-backup {2}\S.*\nAll/);
    expect(fixOf('restore', 'mongodb')).toMatch(/^Did you mean:\n {2}lifeboat mongodb-restore {2}\S.*\nAll/);
  });

  test('of which nothing is known leads to the overview', () => {
    expect(unknownCommand(program, ['frobnicate'])).toMatchObject({
      message: 'There is no command "frobnicate".',
      fix: 'All commands: lifeboat --help',
    });
  });

  const every = 'backup mongo restore rollback check prune compare copy import export hold release setup show log alert'.split(' ');
  test.each(every)('%s: every suggestion is a command line that is understood, and fits the terminal', (word) => {
    const suggestions = meaningsOf(word);
    expect(suggestions.length).toBeGreaterThan(0);
    for (const { line, what } of suggestions) {
      const [name = '', ...rest] = line.split(' ');
      const command = createProgram().commands.find((one) => one.name() === name);
      const inner = command?.commands.find((one) => one.name() === rest[0]);
      expect([line, (inner ?? command)?.parseOptions(inner ? rest.slice(1) : rest).unknown]).toEqual([line, []]);
      expect(`  lifeboat ${line}  ${what}`.length).toBeLessThanOrEqual(80);
    }
  });
});

test('a word that runs at once means a command that only looks', () => {
  for (const command of ALIASES.values()) expect(command === 'list-backups' || findStep(command)?.name === 'status').toBe(true);
  expect([...ALIASES.keys()]).toEqual(expect.arrayContaining(['list', 'ls', 'snapshots']));
});

function lifeboat(...args: string[]) {
  const node = ['--disable-warning=ExperimentalWarning', 'scripts/cli.ts'];
  return spawnSync(process.execPath, [...node, ...args], { encoding: 'utf8' });
}

test('the help of such a word, asked for in any way, says the same', () => {
  for (const args of [
    ['prune', '--help'],
    ['help', 'prune'],
    ['prune', '--confirm', 'shop'],
  ]) {
    const { status, stdout, stderr } = lifeboat(...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain('lifeboat apply-retention --dry-run');
  }
  expect(lifeboat('ls', '--help').stdout).toMatch(/^Usage: lifeboat list-backups /);
});

test('latest names the latest backup wherever a timestamp chooses one, and never names a new one', () => {
  const takesLatest = [...steps, verify]
    .filter(({ inputs }) => inputs['timestamp'] !== undefined)
    .map(({ name, inputs }) => {
      try {
        return [name, inputs['timestamp']?.parse('latest') === undefined] as const;
      } catch {
        return [name, false] as const;
      }
    });
  expect(Object.fromEntries(takesLatest)).toEqual({
    ...{ 'mongodb-backup': false, 'backup-cluster-state': false, 'backup-all': false, 'import-backup': false },
    ...{
      'mongodb-restore': true,
      'restore-cluster-state': true,
      'backup-validation': true,
      'backup-integrity-check': true,
      'diff-cluster-state': true,
      'hold-backup': true,
      'release-hold': true,
    },
    verify: true,
  });
});

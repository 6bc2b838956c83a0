// What --help promises: every command has examples, and every example is a command line that is understood.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Command } from 'commander';
import { describe, expect, test } from '@jest/globals';
import { decrypt } from '../../shared/cli/decrypt.ts';
import { init } from '../../shared/cli/init.ts';
import { verify } from '../../shared/cli/verify.ts';
import { overview } from '../../shared/cli/overview.ts';
import { createProgram } from '../../shared/cli/program.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { steps } from '../../shared/steps/index.ts';

const all: readonly AnyStep[] = [...steps, init, decrypt, verify];

function* leaves(command: Command): Generator<Command> {
  const inner = command.commands.filter((one) => one.name() !== 'help');
  if (inner.length === 0) yield command;
  for (const one of inner) yield* leaves(one);
}

/** The whole help, what is printed after it, too. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

const named = [...leaves(createProgram())].map((command) => [command.name(), command] as const);

describe('--help', () => {
  test.each(named)('of %s says what it does and shows examples', (_name, command) => {
    const help = helpOf(command);
    expect(help).toMatch(/Examples?:\n {2}\S/);
    expect(help).toContain('lifeboat ');
    expect(command.description().length).toBeGreaterThan(20);
  });

  const examples = all.flatMap((step) => step.examples.map(({ args }) => [step.name, args, step] as const));
  test.each(examples)('%s %s is understood', (name, args, step) => {
    const command = createProgram().commands.find((one) => one.name() === name) as Command;
    const words = [...args.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '');
    const { operands, unknown } = command.parseOptions(words);
    expect([operands.length <= command.registeredArguments.length, unknown]).toEqual([true, []]);
    for (const [input, value] of Object.entries(command.opts<Record<string, unknown>>())) {
      const spec = step.inputs[input];
      if (spec !== undefined && typeof value === 'string') expect(() => spec.parse(value)).not.toThrow();
    }
  });
});

test('the overview names every command, the first ones first, and fits the terminal', () => {
  const program = createProgram();
  const text = overview(program, 60);
  for (const command of program.commands) expect(text).toContain(`  ${command.name()} `);
  expect(
    Math.max(
      ...overview(program, 40)
        .split('\n')
        .map((line) => line.length),
    ),
  ).toBeLessThanOrEqual(40);
  expect(text).not.toContain('More:');
  expect(text.indexOf('  init ')).toBeLessThan(text.indexOf('  mongodb-backup '));
  const wide = text.split('\n').filter((line) => line.startsWith('  ') && line.length > 60);
  expect(wide).toEqual([]);
});

/** A command line as a script runs it. */
function lifeboat(...args: string[]) {
  const node = ['--disable-warning=ExperimentalWarning', 'scripts/cli.ts'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...node, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test.each([[[]], [['--help']], [['help']]])('lifeboat %j prints the overview', (args) => {
  expect(lifeboat(...args)).toEqual({ status: 0, stdout: expect.stringMatching(/^Lifeboat makes backups[^]*lifeboat init/), stderr: '' });
});

test('the help of what is not there is a mistake, and names what is near', () => {
  expect(lifeboat('help', 'list-backup')).toEqual({
    status: 2,
    stdout: '',
    stderr: expect.stringMatching(/^error: There is no command "list-backup"\.\nDid you mean:\n {2}lifeboat list-backups {2}lists/),
  });
});

test('a command without its subcommand shows its help, and nothing but that, as a mistake', () => {
  const { status, stdout, stderr } = lifeboat('config');
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^Usage: lifeboat config/);
  expect(stderr).not.toContain('error');
});

test('output that a full disk does not take is a failure', () => {
  const full = openSync('/dev/full', 'w');
  try {
    const args = ['--disable-warning=ExperimentalWarning', 'scripts/cli.ts', 'config', 'schema'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', full, 'pipe'] });
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^error: The output could not be written: ENOSPC/)]);
  } finally {
    closeSync(full);
  }
});

test('what an option means when it is left away reads as a sentence', () => {
  const texts = named.map(([, command]) => helpOf(command).replace(/\s+/g, ' '));
  for (const text of texts) expect(text).not.toMatch(/Default: \.\.|default: \{\}|\?:|dr\.yml\. Default: dr\.yml\./);
  expect(texts.join()).toContain('--no-safety-backup Turn off: back up what is about to be replaced');
});

// The command line `lifeboat`: one command per step, and a few that are about dr.yml and broken glass.
import { Command, CommanderError } from 'commander';
import project from '../../package.json' with { type: 'json' };
import { EXIT_CODES, UsageError } from '../step/errors.ts';
import { steps } from '../steps/index.ts';
import { ALIASES } from '../steps/words.ts';
import { extraCommands } from './index.ts';
import { overview } from './overview.ts';
import { unknownCommand } from './unknown-command.ts';
import { addStepCommand, endWithError } from './step-command.ts';

/** Help is not made wider than this on wider terminals: long lines are hard to read. */
const HELP_COLUMNS = 100;

/** The whole command tree. It throws CommanderError instead of ending the process. */
export function createProgram(): Command {
  const program = new Command('lifeboat');
  program
    .version(`lifeboat ${project.version} (Node.js ${process.version})`, '--version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    // Errors are shown by us, in one style with the errors of steps.
    .configureOutput({ outputError: () => undefined, getOutHelpWidth: helpWidth, getErrHelpWidth: helpWidth });
  for (const step of steps) addStepCommand(program, step);
  for (const register of extraCommands) register(program);
  program.action(() => {
    const [word] = program.args;
    if (word !== undefined) throw unknownCommand(program, program.args);
    program.outputHelp();
  });
  program.helpInformation = () => overview(program, process.stdout.isTTY ? process.stdout.columns : undefined);
  program.allowExcessArguments();
  return program;
}

function helpWidth(): number {
  return Math.min(process.stdout.columns || 80, HELP_COLUMNS);
}

/** Runs one command line (without `node` and the script); the result is in `process.exitCode`. */
export async function runCli(words: string[]): Promise<void> {
  const program = createProgram();
  const args = words.map((word, at) => (at === 0 || (at === 1 && words[0] === 'help') ? (ALIASES.get(word) ?? word) : word));
  const isCommand = (word: string): boolean => word === 'help' || program.commands.some((known) => known.name() === word);
  try {
    // Also with --help behind it: the overview would not say what is wrong.
    const asked = args[0] === 'help' ? args.slice(1) : args;
    if (asked[0] !== undefined && !asked[0].startsWith('-') && !isCommand(asked[0])) throw unknownCommand(program, asked);
    await program.parseAsync(args, { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof UsageError) {
      await endWithError({ command: 'lifeboat', json: args.includes('--json') }, thrown);
      return;
    }
    if (!(thrown instanceof CommanderError)) throw thrown;
    // Help and version are thrown, too; help that was not asked for stands for a missing subcommand.
    if (thrown.exitCode === 0 || thrown.code === 'commander.help') {
      process.exitCode = thrown.exitCode === 0 ? EXIT_CODES.succeeded : EXIT_CODES.usage;
      return;
    }
    const command = program.commands.map((known) => known.name()).find((name) => name === args[0]);
    await endWithError(
      { command: command ?? 'lifeboat', json: args.includes('--json') },
      {
        kind: 'usage',
        message: thrown.message.replace(/^error: /, '').replace(/\n\((Did you mean .*)\)$/, '. $1'),
        fix: `See "lifeboat ${command === undefined ? '' : `${command} `}--help".`,
      },
    );
  }
}

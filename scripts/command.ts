// The command lines of the scripts: --help with examples everywhere, and an unknown option is a usage error, exit code 2.
import { Command, CommanderError } from 'commander';
import { errorMessage, EXIT_CODES } from '../shared/step/errors.ts';

/**
 * A script's command line.
 * @param examples command lines, with what each does
 */
export function scriptCommand(name: string, description: string, examples: readonly (readonly [line: string, what: string])[]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) => `  ${line.padEnd(width)}  ${what}`);
  return new Command(`./scripts/${name}`)
    .description(description)
    .allowExcessArguments(false)
    .addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
    .configureOutput({
      outputError: (text, write) => {
        write(`${text.trimEnd()}
See ./scripts/${name} --help.
`);
      },
    })
    .exitOverride();
}

/** Reads the command line. Ends the process after --help (0), and where something is not understood (2). */
export function parseScript(command: Command, args: readonly string[] = process.argv.slice(2)): Command {
  try {
    return command.parse(args, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) process.stderr.write(`error: ${errorMessage(thrown)}\n`);
    process.exit(thrown instanceof CommanderError && thrown.exitCode === 0 ? EXIT_CODES.succeeded : EXIT_CODES.usage);
  }
}

// `lifeboat config validate|show|schema`: is dr.yml right, what does it amount to, what may be in it.
import type { Command } from 'commander';
import type { DrConfig } from '../config/dr-config.ts';
import { absentDr, findDrFile } from '../config/source.ts';
import { EXIT_CODES, UsageError, UserError } from '../step/errors.ts';
import { plural } from '../step/format.ts';
import { endWithError } from './step-command.ts';

interface Options {
  config?: string;
  json?: boolean;
}

/** Where the commands print, how they end, and what time it is; a terminal's when absent. */
export interface ConfigCommandContext {
  out?: (text: string) => void;
  exit?: (code: number) => void;
  /** Shows an error to a person and sets the exit code. */
  fail?: (error: UserError) => Promise<void>;
  now?: () => Date;
}

/** Adds `config validate` and `config show` to the CLI. Exit codes: 0, or 2 when dr.yml is wrong or missing. */
export function register(program: Command, context: ConfigCommandContext = {}): void {
  const {
    out = (text) => process.stdout.write(`${text}\n`),
    exit = (code: number): void => {
      process.exitCode = code;
    },
    fail = (error: UserError) => endWithError({ command: 'config' }, error),
    now = () => new Date(),
  } = context;
  const config = program.command('config').description('Checks dr.yml, or shows it with all defaults filled in.');

  const command = (name: string, description: string, show: (loaded: DrConfig, options: Options) => Promise<string>): void => {
    config
      .command(name)
      .description(description)
      .option('--config <file>', 'path of dr.yml; when absent, the one in this folder or above it in the repository')
      .option('--json', 'print JSON for machines')
      .addHelpText('after', `\nExamples:\n  lifeboat config ${name}\n  lifeboat config ${name} --config clusters/west/dr.yml --json`)
      .action(async (options: Options) => {
        try {
          out(await show(await load(options.config), options));
        } catch (thrown) {
          if (!(thrown instanceof UserError)) throw thrown;
          if (!options.json) {
            await fail(thrown);
            return;
          }
          out(JSON.stringify(await failureJson(thrown), null, 2));
          exit(EXIT_CODES[thrown.kind]);
        }
      });
  };

  command('validate', 'Checks dr.yml and names every problem with its line and what to write instead.', async (loaded, options) => {
    const notices = [...loaded.notices, ...loaded.missingHere()];
    if (options.json) return JSON.stringify({ file: loaded.label, valid: true, problems: [], notices }, null, 2);
    const { problemLine } = await import('../config/problem.ts');
    const parts = [counted(loaded.componentNames(), 'component'), counted(Object.keys(loaded.dr.stores ?? {}), 'store')];
    return [
      `${loaded.label} is valid: ${parts.join(', ')}.`,
      ...notices.map((notice) => `note: ${problemLine(loaded.label, notice)}`),
    ].join('\n');
  });

  command('show', 'Shows dr.yml with defaults filled in, secrets as ***, and when the next backups are due.', async (loaded, options) => {
    const { shownConfig, shownText } = await import('../config/show.ts');
    const shown = shownConfig(loaded, now());
    return options.json ? JSON.stringify(shown, null, 2) : shownText(shown);
  });
  registerSchema(config, out);
}

function registerSchema(config: Command, out: (text: string) => void): void {
  config
    .command('schema')
    .description('Prints the JSON Schema of dr.yml, for an editor that cannot fetch the published one.')
    .addHelpText(
      'after',
      '\nExample:\n  lifeboat config schema > dr.schema.json\n' +
        '  and in the first line of dr.yml: # yaml-language-server: $schema=./dr.schema.json',
    )
    .action(async () => {
      const { drJsonSchema } = await import('../config/json-schema.ts');
      out(JSON.stringify(drJsonSchema(), null, 2));
    });
}

async function load(given: string | undefined): Promise<DrConfig> {
  const file = findDrFile(given);
  if (file === undefined) {
    throw new UsageError(`${absentDr()}.`, {
      fix: 'Go to the folder of your dr.yml, or name it: --config path/to/dr.yml. "lifeboat init" writes a new one.',
    });
  }
  const { loadDr } = await import('../config/load.ts');
  return loadDr(file);
}

async function failureJson(thrown: UserError): Promise<unknown> {
  const { ConfigError } = await import('../config/problem.ts');
  const problems = thrown instanceof ConfigError ? thrown.problems : [{ line: 0, column: 0, path: '', message: thrown.message }];
  return { valid: false, problems };
}

function counted(names: string[], noun: string): string {
  return names.length === 0 ? plural(0, noun) : `${plural(names.length, noun)} (${names.join(', ')})`;
}

// One CLI command per step, generated from its definition: options, help, secrets, examples.
import { Option, type Command } from 'commander';
import { secretIn } from '../config/literal-secrets.ts';
import { wrapWords } from '../hosts/text-layout.ts';
import { TerminalHost } from '../hosts/terminal.ts';
import { readSecret, secretFileOption, secretInOption, secretOnCommandLine, secretVariable } from '../hosts/terminal-secrets.ts';
import { drSource } from '../session/session.ts';
import type { AnyStep } from '../step/define.ts';
import { EXIT_CODES, UserError, type ErrorKind } from '../step/errors.ts';
import { kebabCase, type InputSpec } from '../step/input.ts';
import { runStep } from '../step/run.ts';
import { describeInput, inputsFor, placeholder } from './describe.ts';

type Options = Record<string, string | boolean | string[] | undefined>;

export interface StepCommandOptions {
  /** Inputs (camelCase) that may also be given by position, in this order. */
  positional?: string[];
}

/** Adds the command of a step. Its exit code is the step's. */
export function addStepCommand(program: Command, step: AnyStep, { positional = [] }: StepCommandOptions = {}): void {
  const command = program.command(step.name).summary(step.summary).description(`${step.summary}\n\n${step.description}`);
  for (const name of positional) command.argument(`[${kebabCase(name)}]`, step.inputs[name]?.summary);
  for (const [name, spec] of inputsFor(step, 'terminal')) addInput(command, name, spec);
  command.optionsGroup('Output:');
  command.option('--json', 'print one JSON object on standard output and everything else on standard error');
  command.option('--quiet', 'print only warnings and errors, and ask nothing');
  command.option('--verbose', 'also print debug lines');
  command.optionsGroup('Help:');
  command.helpOption('-h, --help', 'show this help');
  command.addHelpText('after', helpEnd(step));
  command.action(async (...args: unknown[]) => {
    const options = args[positional.length] as Options;
    const given = positional.map((name, index) => [name, args[index] as string | undefined] as const);
    await runCommand(step, options, Object.fromEntries(given.filter(([, text]) => text !== undefined)) as Record<string, string>);
  });
}

function addInput(command: Command, name: string, spec: InputSpec<unknown>): void {
  const flag = kebabCase(name);
  const add = (flags: string, description = '', hidden = false): Option => {
    const option = new Option(flags, description).helpGroup(`${spec.group ?? 'Inputs'}:`).hideHelp(hidden);
    command.addOption(option);
    return option;
  };
  if (spec.kind === 'secret') {
    add(`${secretFileOption(name)} <path>`, `${describeInput(spec)} Use - for standard input, or set ${secretVariable(name)} instead.`);
    // Known, so that it can be refused with the way that works.
    add(`--${flag} [value]`, '', true);
  } else if (spec.kind === 'flag') {
    const onByDefault = spec.default === 'true';
    add(`--${flag}`, describeInput(spec), onByDefault);
    add(`--no-${flag}`, `Turn off: ${spec.summary.charAt(0).toLowerCase()}${spec.summary.slice(1)}`, !onByDefault);
  } else {
    const option = add(`--${flag} <${placeholder(spec)}>`, describeInput(spec));
    if (spec.kind === 'list') option.argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
  }
  for (const old of spec.renamedFrom ?? []) add(`--${kebabCase(old)} [value]`, '', true);
}

async function runCommand(step: AnyStep, options: Options, given: Record<string, string>): Promise<void> {
  const about = {
    command: step.name,
    json: options['json'] === true,
    quiet: options['quiet'] === true,
    verbose: options['verbose'] === true,
  };
  let inputs: Record<string, string>;
  try {
    for (const [name, text] of Object.entries(given)) refuseSecret(step, name, text);
    inputs = { ...given, ...readInputs(step, options) };
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    await endWithError(about, thrown);
    return;
  }
  const secretInputs = Object.keys(step.inputs).filter((name) => step.inputs[name]?.kind === 'secret');
  await runStep(step, new TerminalHost({ ...about, inputs, secretInputs }), { openConfig: drSource() });
}

/** Ends a command that did not get as far as running, the way a step that fails ends. */
export async function endWithError(
  about: { command: string; json?: boolean },
  { kind, message, fix }: { kind: ErrorKind; message: string; fix?: string | undefined },
): Promise<void> {
  const error = { kind, message, ...(fix === undefined ? {} : { fix }) };
  await new TerminalHost({ ...about, inputs: {} }).finish({ outcome: 'failed', exitCode: EXIT_CODES[kind], warnings: [], error });
}

/** @throws UsageError for a value that holds a secret, as an address with a SAS or a password does */
function refuseSecret(step: AnyStep, name: string, text: string): void {
  const what = secretIn(text);
  if (what !== undefined) throw secretInOption(name, what, name === 'store' && step.inputs['storeSas'] ? 'storeSas' : undefined);
}

/** Texts by camelCase input name. @throws UsageError about a secret on the command line or a file that cannot be read */
function readInputs(step: AnyStep, options: Options): Record<string, string> {
  const inputs: Record<string, string> = {};
  for (const [name, spec] of Object.entries(step.inputs)) {
    const value = options[name];
    if (spec.kind === 'secret') {
      if (value !== undefined) throw secretOnCommandLine(name);
      const secret = readSecret(name, options[`${name}File`] as string | undefined);
      if (secret !== undefined) inputs[name] = secret;
    } else if (value !== undefined) {
      for (const text of [value].flat()) refuseSecret(step, name, String(text));
      inputs[name] = Array.isArray(value) ? value.join('\n') : String(value);
    }
    for (const old of spec.renamedFrom ?? []) if (options[old] !== undefined) inputs[old] = String(options[old]);
  }
  return inputs;
}

function helpEnd(step: AnyStep): string {
  const examples = step.examples.map(({ what, args }) => `  ${what}:\n    lifeboat ${step.name} ${args}`.trimEnd());
  const codes = Object.entries(EXIT_CODES).map(([name, code]) => `${code} ${name}`);
  return [
    '',
    ...(examples.length > 0 ? ['Examples:', ...examples, ''] : []),
    ...wrapWords(`Exit codes: ${codes.join(', ')}.`, 80),
    'The README says what each means.',
  ].join('\n');
}

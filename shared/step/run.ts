// Runs one step on one host: parse inputs, run, turn whatever happened into an outcome and an exit code.
import { systemClock, type Clock } from '../tools/clock.ts';
import type { AnyStep, DestructionPlan, InputValues, InputSpecs, StepContext } from './define.ts';
import {
  CancelledError,
  errorMessage,
  EXIT_CODES,
  outcomeOf,
  RefusedError,
  throwIfCancelled,
  UsageError,
  UserError,
  withFix,
} from './errors.ts';
import type { FailureHelp, Finish, Host } from './host.ts';
import type { InputSpec } from './input.ts';

/** Where a value may come from below the host's own inputs: `dr.yml`. */
export interface ConfigSource {
  /** How messages call it, such as `dr.yml`. */
  label: string;
  /** The components to choose from, where the call has named none and there are several: what depends on one cannot be looked up then. */
  choices?: readonly string[] | undefined;
  /**
   * The text at a config path (`source.uri`, `/vault`), undefined when the file does not say.
   * @throws UsageError when it refers to something that is not there
   */
  lookup(path: string): string | undefined | Promise<string | undefined>;
}

/** What a call of a step begins with. */
export interface OpenedConfig {
  /** Absent where there is no file. */
  source?: ConfigSource;
  /** A sentence about the file that is not there, where it is. */
  absent?: string | undefined;
  /** What the run keeps for its step. */
  session?: unknown;
}

/** Opens what a call of a step begins with; gets the raw text of inputs by camelCase name. */
export type OpenConfig = (raw: (name: string) => string | undefined, host: Host, step: AnyStep) => Promise<OpenedConfig>;

export interface RunOptions {
  clock?: Clock | undefined;
  openConfig?: OpenConfig;
  /** Values that another step hands over: they stand for what the host was given. */
  given?: Readonly<Record<string, unknown>>;
}

type Origin = 'input' | 'dr.yml' | 'default' | 'absent';

/** Runs a step to its end and tells the host. What went wrong is in the returned record; throws only when the host cannot be told. */
export async function runStep(step: AnyStep, host: Host, options: RunOptions = {}): Promise<Finish> {
  const warnings: string[] = [];
  const consequences: string[] = [];
  const help: FailureHelp & Subject = {};
  let finish: Finish;
  try {
    finish = await attempt(step, host, options, { warnings, consequences, help });
  } catch (thrown) {
    finish = failure(thrown, host, warnings);
  }
  if (finish.error !== undefined) {
    const { lastGoodBackup, next } = help;
    finish = { ...finish, subject: subjectOf(step, host, help), help: { lastGoodBackup, next } };
  }
  await host.finish(finish);
  for (const consequence of consequences) host.warning(consequence);
  return finish;
}

/** `MongoDB backup of shop/mongodb`. */
function subjectOf({ noun, title }: AnyStep, host: Host, { name, component }: FailureHelp & Subject): string {
  const what = noun ?? title.replace(/^Lifeboat: /, '');
  const given = (input: string): string | undefined => readable(() => host.rawInput(input)) || undefined;
  const whose = [name ?? given('name'), component ?? given('component')].filter((part) => part !== undefined).join('/');
  return `${what.charAt(0).toUpperCase()}${what.slice(1)}${whose === '' ? '' : ` of ${whose}`}`;
}

/** Whose backups a run was about, as far as it was known. */
interface Subject {
  name?: string | undefined;
  component?: string | undefined;
}

interface Told {
  warnings: string[];
  /** Told after the error that they follow from. */
  consequences: string[];
  help: FailureHelp & Subject;
}

async function attempt(step: AnyStep, host: Host, options: RunOptions, { warnings, consequences, help }: Told): Promise<Finish> {
  maskSecrets(step, host);
  const { values, origins, session } = await parseInputs(step, host, options);
  const context: StepContext<InputSpecs, string> = {
    step: step.name,
    host,
    inputs: values,
    origin: (name) => origins[name] ?? 'absent',
    clock: options.clock ?? systemClock,
    signal: host.signal,
    session,
    setOutput: (name, value) => {
      host.setOutput(name, String(value));
    },
    remember: (more) => {
      Object.assign(help, more);
    },
    confirmDestruction: (plan) => confirmDestruction(plan, host, values),
    warnAfterwards: (message) => {
      consequences.push(message);
    },
  };
  const { name, component } = values as Subject;
  Object.assign(help, name === undefined ? {} : { name }, component === undefined ? {} : { component });
  const returned = (await step.run(context)) ?? {};
  const doubts = returned.doubts ?? [];
  for (const doubt of doubts) host.warning(doubt);
  warnings.push(...doubts);
  const result = returned.result === undefined ? {} : { result: returned.result };
  if (returned.failure) return { ...failure(returned.failure, host, warnings), ...result };
  const outcome = doubts.length > 0 ? 'partial' : 'succeeded';
  return { outcome, exitCode: EXIT_CODES[outcome], warnings, ...result };
}

function failure(thrown: unknown, host: Host, warnings: string[]): Finish {
  if (host.signal.aborted && !(thrown instanceof RefusedError)) {
    // Whatever broke after a cancel broke because of it.
    const cancelled = thrown instanceof CancelledError ? thrown : new CancelledError('Cancelled.', { cause: thrown });
    host.debug(`Thrown after the cancel: ${errorMessage(thrown)}`);
    thrown = cancelled;
  }
  if (thrown instanceof UserError) {
    for (const cause of causes(thrown))
      host.debug(`Caused by: ${cause instanceof Error ? (cause.stack ?? cause.message) : errorMessage(cause)}`);
    const { kind, message, fix } = thrown;
    return {
      outcome: outcomeOf(kind),
      exitCode: EXIT_CODES[kind],
      warnings,
      error: { kind, message, fix },
    };
  }
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return {
    outcome: 'failed',
    exitCode: EXIT_CODES.failed,
    warnings,
    error: {
      kind: 'bug',
      message: `Unexpected error: ${errorMessage(thrown)}`,
      fix: 'This is a defect in Lifeboat. Please report it with the stack below.',
      stack,
    },
  };
}

function causes(error: Error): Set<unknown> {
  const found = new Set<unknown>();
  // A set, because libraries do link causes in a circle.
  for (let cause = error.cause; cause !== undefined && !found.has(cause); cause = cause instanceof Error ? cause.cause : undefined)
    found.add(cause);
  return found;
}

function maskSecrets(step: AnyStep, host: Host): void {
  for (const [name, spec] of Object.entries(step.inputs)) {
    if (spec.kind !== 'secret') continue;
    for (const spelling of [name, ...(spec.renamedFrom ?? [])]) {
      const text = readable(() => host.rawInput(spelling));
      if (text) host.mask(text);
    }
  }
}

/** What a host cannot read yet is told with all other problems, when the inputs are parsed. */
function readable(read: () => string | undefined): string | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof UsageError) return undefined;
    throw thrown;
  }
}

interface ParsedInputs {
  values: InputValues<InputSpecs>;
  origins: Record<string, Origin>;
  session: unknown;
}

async function parseInputs(step: AnyStep, host: Host, { openConfig, given }: RunOptions): Promise<ParsedInputs> {
  const raw = (name: string): string | undefined => {
    if (given === undefined) return host.rawInput(name) || undefined;
    return typeof given[name] === 'string' ? given[name] : undefined;
  };
  const problems = given === undefined ? renamedInputs(step, host) : [];
  const { source: config, session, absent } = (await openConfig?.(raw, host, step)) ?? {};
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const wrong: string[] = [];
  let missesConfig = false;
  const complain = (name: string, problem: string): void => {
    wrong.push(host.spell(name));
    problems.push(problem);
  };
  for (const [name, spec] of Object.entries(step.inputs)) {
    if (given?.[name] !== undefined) {
      values[name] = given[name];
      origins[name] = 'input';
      continue;
    }
    try {
      const { text, origin } = await findText(spec, raw(name), config);
      origins[name] = origin;
      host.debug(`Input ${host.spell(name)}: ${originText(origin, config?.label, configPaths(spec).join(' or '))}`);
      if (text === undefined) {
        if (spec.required) {
          complain(name, ambiguous(spec, config, host) ?? missingInput(name, spec, host));
          missesConfig ||= openConfig !== undefined && config === undefined && spec.config !== undefined;
        }
        continue;
      }
      if (spec.kind === 'secret') host.mask(text);
      try {
        values[name] = spec.parse(text);
      } catch (thrown) {
        const shown = spec.kind === 'secret' ? '***' : JSON.stringify(text);
        complain(name, `${host.spell(name)} is ${shown}${origin === 'dr.yml' ? ` (from ${config?.label})` : ''}: ${errorMessage(thrown)}.`);
      }
    } catch (thrown) {
      if (!(thrown instanceof UsageError)) throw thrown;
      // It names its place, such as a line of dr.yml.
      complain(name, withFix(thrown));
    }
  }
  problems.push(...crossFieldProblems(step, values, host, wrong));
  if (problems.length > 0) throw inputError(step, host, problems, missesConfig, absent);
  return { values: Object.freeze(values), origins, session };
}

function renamedInputs(step: AnyStep, host: Host): string[] {
  const given = new Set(host.givenInputs());
  return Object.entries(step.inputs).flatMap(([name, spec]) =>
    (spec.renamedFrom ?? [])
      .filter((old) => given.has(host.spell(old)))
      .map((old) => `${host.spell(old)} is now called ${host.spell(name)}: rename it.`),
  );
}

function originText(origin: Origin, label = 'dr.yml', path = ''): string {
  if (origin === 'dr.yml') return `from ${label} (${path})`;
  return { input: 'given', default: 'default', absent: 'not given' }[origin];
}

/** Where dr.yml may have the value of an input. */
export function configPaths({ config = [] }: InputSpec<unknown>): readonly string[] {
  return typeof config === 'string' ? [config] : config;
}

async function findText(spec: InputSpec<unknown>, given: string | undefined, config: ConfigSource | undefined) {
  if (given !== undefined) return { text: given, origin: 'input' as const };
  for (const path of configPaths(spec)) {
    const configured = await config?.lookup(path);
    if (configured !== undefined) return { text: configured, origin: 'dr.yml' as const };
  }
  return { text: spec.default, origin: spec.default === undefined ? ('absent' as const) : ('default' as const) };
}

/** That a component must be named, where that is why a required input is not known. */
function ambiguous(spec: InputSpec<unknown>, config: ConfigSource | undefined, host: Host): string | undefined {
  if (config?.choices === undefined || !configPaths(spec).some((path) => !path.startsWith('/'))) return undefined;
  return `${host.spell('component')} is missing: ${config.label} has ${config.choices.join(', ')}. Say which one.`;
}

function missingInput(name: string, spec: InputSpec<unknown>, host: Host): string {
  return `${host.spell(name)} is missing. ${spec.summary}${spec.example ? ` Example: ${spec.example}` : ''}`;
}

/** Rules across inputs. What they say about an input that is wrong already is left out: it would only confuse. */
function crossFieldProblems(step: AnyStep, values: InputValues<InputSpecs>, host: Host, wrong: readonly string[]): string[] {
  const check = (): string[] => step.check?.(values, (name) => host.spell(name)) ?? [];
  if (wrong.length === 0) return check();
  try {
    return check().filter((problem) => !wrong.some((name) => mentions(problem, name)));
  } catch {
    // A rule may rely on an input that could not be parsed; its turn comes when that one is right.
    return [];
  }
}

/** True when the name stands in the text as a word of its own. */
function mentions(text: string, name: string): boolean {
  const around = text.split(name);
  return around.slice(1).some((after, index) => !/[\w-]$/.test(around[index] as string) && !/^[\w-]/.test(after));
}

function inputError(step: AnyStep, host: Host, problems: readonly string[], missesConfig: boolean, absent?: string): UsageError {
  const text =
    problems.length === 1
      ? (problems[0] as string)
      : `${problems.length} problems with the inputs:\n${problems.map((problem) => `- ${problem}`).join('\n')}`;
  const terminal = host.kind === 'terminal';
  const noConfig = terminal ? 'There is no dr.yml in this folder. ' : 'No dr.yml was found: is the repository checked out? ';
  const see = terminal ? `See "lifeboat ${step.name} --help".` : `See the inputs of ${step.name} in the README.`;
  // The cause before its consequences.
  if (missesConfig && absent !== undefined) return new UsageError(`${absent}\n${text}`, { fix: see });
  return new UsageError(text, { fix: missesConfig ? noConfig + see : see });
}

async function confirmDestruction(plan: DestructionPlan, host: Host, inputs: { confirm?: string; dryRun?: boolean }): Promise<boolean> {
  const width = Math.max(...plan.facts.map(([label]) => label.length));
  host.info(plan.title);
  for (const [label, value] of plan.facts) host.info(`  ${label.padEnd(width)}  ${value}`);
  for (const loss of plan.losses) host.info(`  ! ${loss}`);
  if (inputs.dryRun) {
    host.notice('Dry run: nothing was touched.');
    return false;
  }
  const typed = inputs.confirm ?? (await host.ask(`Type ${plan.confirmation} to continue: `))?.trim();
  // Ctrl-C at the question is a cancel, not a wrong answer.
  throwIfCancelled(host.signal);
  if (typed === plan.confirmation) return true;
  throw new RefusedError(
    typed === undefined || typed === ''
      ? `Not confirmed: ${host.spell('confirm')} is missing. No data was touched.`
      : `The confirmation "${typed}" does not match "${plan.confirmation}". No data was touched.`,
    { fix: `Look at the plan. If it is what you want, set ${host.spell('confirm')} to ${plan.confirmation}.` },
  );
}

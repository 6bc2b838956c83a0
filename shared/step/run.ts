// Runs one step on one host: parse inputs, run, turn whatever happened into an outcome and an exit code.
import { systemClock, type Clock } from '../tools/clock.ts';
import type { AnyStep, DestructionPlan, InputValues, InputSpecs, StepContext } from './define.ts';
import { CancelledError, errorMessage, EXIT_CODES, outcomeOf, RefusedError, UsageError, UserError } from './errors.ts';
import type { Finish, Host } from './host.ts';
import { kebabCase } from './input.ts';

/** Where a value may come from below the host's own inputs: `dr.yml`. */
export interface ConfigSource {
  /** How messages call it, such as `dr.yml`. */
  label: string;
  /** The text at a config path (`source.uri`, `/vault`), undefined when the file does not say. */
  lookup(path: string): string | undefined;
}

/** Opens the config source for a call; gets the raw text of inputs by camelCase name. */
export type OpenConfig = (raw: (name: string) => string | undefined, host: Host) => Promise<ConfigSource | undefined>;

export interface RunOptions {
  clock?: Clock;
  openConfig?: OpenConfig;
}

type Origin = 'input' | 'dr.yml' | 'default' | 'absent';

/** Runs a step to its end and tells the host. Never throws: what went wrong is in the returned record. */
export async function runStep(step: AnyStep, host: Host, options: RunOptions = {}): Promise<Finish> {
  const warnings: string[] = [];
  let finish: Finish;
  try {
    finish = await attempt(step, host, options, warnings);
  } catch (thrown) {
    finish = failure(thrown, host, warnings);
  }
  await host.finish(finish);
  return finish;
}

async function attempt(step: AnyStep, host: Host, options: RunOptions, warnings: string[]): Promise<Finish> {
  maskSecrets(step, host);
  const { values, origins } = await parseInputs(step, host, options.openConfig);
  const context: StepContext = {
    host,
    inputs: values,
    origin: (name) => origins[name] ?? 'absent',
    clock: options.clock ?? systemClock,
    signal: host.signal,
    setOutput: (name, value) => {
      host.setOutput(name, String(value));
    },
    confirmDestruction: (plan) => confirmDestruction(plan, host, values),
  };
  const returned = (await step.run(context)) ?? {};
  const doubts = returned.doubts ?? [];
  for (const doubt of doubts) host.warning(doubt);
  warnings.push(...doubts);
  const outcome = doubts.length > 0 ? 'partial' : 'succeeded';
  return { outcome, exitCode: EXIT_CODES[outcome], warnings, ...(returned.result === undefined ? {} : { result: returned.result }) };
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
      error: { kind, message, ...(fix === undefined ? {} : { fix }) },
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
      ...(stack === undefined ? {} : { stack }),
    },
  };
}

function* causes(error: Error): Generator {
  for (let cause: unknown = error.cause; cause !== undefined; cause = cause instanceof Error ? cause.cause : undefined) yield cause;
}

function maskSecrets(step: AnyStep, host: Host): void {
  for (const [name, spec] of Object.entries(step.inputs)) {
    const text = spec.kind === 'secret' ? host.rawInput(name) : undefined;
    if (text) host.mask(text);
  }
}

async function parseInputs(step: AnyStep, host: Host, openConfig: OpenConfig | undefined) {
  const problems: string[] = [];
  const raw = (name: string): string | undefined => host.rawInput(name) || undefined;
  const given = new Set(host.givenInputs());

  for (const [name, spec] of Object.entries(step.inputs)) {
    for (const old of spec.renamedFrom ?? []) {
      if (given.has(host.spell(old))) problems.push(`${host.spell(old)} is now called ${host.spell(name)}: rename it.`);
    }
  }

  const config = await openConfig?.(raw, host);
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const [name, spec] of Object.entries(step.inputs)) {
    const fromConfig = raw(name) === undefined && spec.config !== undefined ? config?.lookup(spec.config) : undefined;
    const text = raw(name) ?? fromConfig ?? spec.default;
    const origin: Origin =
      raw(name) !== undefined ? 'input' : fromConfig !== undefined ? 'dr.yml' : text !== undefined ? 'default' : 'absent';
    origins[name] = origin;
    if (spec.kind === 'secret' && text !== undefined) host.mask(text);
    if (text === undefined) {
      if (spec.required) problems.push(`${host.spell(name)} is missing. ${spec.summary}${spec.example ? ` Example: ${spec.example}` : ''}`);
      continue;
    }
    try {
      values[name] = spec.parse(text);
    } catch (thrown) {
      const shown = spec.kind === 'secret' ? '***' : JSON.stringify(text);
      problems.push(`${host.spell(name)} is ${shown}${origin === 'dr.yml' ? ` (from ${config?.label})` : ''}: ${errorMessage(thrown)}.`);
    }
    host.debug(`Input ${host.spell(name)} from ${origin === 'dr.yml' ? `${config?.label} (${spec.config})` : origin}`);
  }
  if (problems.length === 0) {
    problems.push(...(step.check?.(values, (name) => host.spell(name)) ?? []));
  }
  if (problems.length > 0) {
    const head = problems.length === 1 ? '' : `${problems.length} problems with the inputs:\n`;
    throw new UsageError(head + problems.map((problem) => (head ? `- ${problem}` : problem)).join('\n'), {
      fix: host.kind === 'terminal' ? `See "lifeboat ${step.name} --help".` : `See the inputs of ${kebabCase(step.name)} in the README.`,
    });
  }
  return { values: Object.freeze(values) as InputValues<InputSpecs>, origins };
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
  const typed = inputs.confirm ?? (await host.ask(`Type ${plan.confirmation} to go on: `));
  if (typed === plan.confirmation) return true;
  throw new RefusedError(
    typed === undefined || typed === ''
      ? `${plan.title}: not confirmed.`
      : `${plan.title}: the confirmation "${typed}" does not match "${plan.confirmation}".`,
    { fix: `Look at the plan above. When it is what you want, set ${host.spell('confirm')} to ${plan.confirmation}.` },
  );
}

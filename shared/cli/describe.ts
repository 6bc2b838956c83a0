// How inputs are described, the same in every generated face: action.yml, task.json, --help and READMEs.
import type { AnyStep } from '../step/define.ts';
import type { InputSpec } from '../step/input.ts';
import { configPaths } from '../step/run.ts';

export type Face = 'github' | 'azure' | 'terminal';

/** The inputs a host's users see, in the order of the definition. */
export function inputsFor(step: AnyStep, face: Face): [name: string, spec: InputSpec<unknown>][] {
  return Object.entries(step.inputs).filter(([, spec]) => spec.hosts === undefined || spec.hosts.includes(face));
}

/** True when the user of a face must give it: nothing else may supply the value. */
export function mustBeGiven(spec: InputSpec<unknown>): boolean {
  return spec.required === true && spec.config === undefined && spec.default === undefined;
}

/**
 * The default a face may fill in by itself. An input that dr.yml can supply gets none: a face's default would look like
 * something the user wrote, and win over dr.yml.
 */
export function faceDefault(spec: InputSpec<unknown>): string | undefined {
  return spec.config === undefined ? spec.default : undefined;
}

/** The whole sentence: what it is, the values it takes, where it comes from when it is not given. */
export function describeInput(spec: InputSpec<unknown>): string {
  const parts = [spec.summary.replace(/[.:]?$/, '.')];
  if (spec.choices !== undefined) parts.push(`One of: ${spec.choices.join(', ')}.`);
  const sources: string[] = [];
  // `.` is the component itself, which its own summary explains.
  const [path] = configPaths(spec);
  if (path !== undefined && path !== '.') sources.push(`dr.yml (${path.replace(/^\//, '')})`);
  if (spec.default !== undefined && spec.kind !== 'flag') sources.push(spec.default);
  if (spec.default === 'true') sources.push('true');
  if (sources.length > 0) parts.push(`Default: ${sources.join(', else ')}.`);
  else if (spec.required) parts.push('Required.');
  return parts.join(' ');
}

/** What stands between `<` and `>` in `--help`. */
export function placeholder(spec: InputSpec<unknown>): string {
  if (spec.kind === 'string' || spec.kind === 'serviceConnection') return 'text';
  return spec.kind === 'list' ? 'items' : spec.kind;
}

/** `mongodb-backup` → `MongodbBackup`: the Azure task's name. */
export function taskName(stepName: string): string {
  return stepName.replace(/(^|-)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
}

/** Few steps have them, but what a user of the root action means by them is the same in each. */
const SHARED_ANYWAY = ['timestamp', 'confirm', 'dryRun', 'reason'];

/** What the root action declares: the inputs that at least half of the steps take, each as most of these steps describe it. */
export function sharedInputs(steps: readonly AnyStep[]): [name: string, description: string][] {
  return shared(steps, (step) => inputsFor(step, 'github').map(([name, spec]) => [name, describeInput(spec)]));
}

/** The outputs that the root action declares, by the same rule. */
export function sharedOutputs(steps: readonly AnyStep[]): [name: string, description: string][] {
  return shared(steps, (step) => Object.entries(step.outputs).map(([name, { summary }]) => [name, summary]));
}

function shared(steps: readonly AnyStep[], partsOf: (step: AnyStep) => [name: string, description: string][]): [string, string][] {
  const texts = new Map<string, string[]>();
  for (const [name, text] of steps.flatMap(partsOf)) texts.set(name, [...(texts.get(name) ?? []), text]);
  return [...texts]
    .filter(([name, { length }]) => length * 2 >= steps.length || SHARED_ANYWAY.includes(name))
    .map(([name, all]) => [name, mostFrequent(all)]);
}

function mostFrequent(texts: readonly string[]): string {
  const times = (text: string): number => texts.filter((other) => other === text).length;
  return texts.reduce((best, text) => (times(text) > times(best) ? text : best));
}

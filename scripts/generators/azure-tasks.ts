// `task.json` of each step and the extension's manifests: the Azure Pipelines face.
import guids from '../../azure-tasks/guids.json' with { type: 'json' };
import { randomUUID } from 'node:crypto';
import { KINDS } from '../../shared/kinds/registry.ts';
import type { AnyStep, Effects } from '../../shared/step/define.ts';
import type { InputSpec } from '../../shared/step/input.ts';
import { formGroup, groupName, helpOf, labelOf, visibleRule } from './azure-form.ts';
import { describeInput, faceDefault, inputsFor, mustBeGiven, taskName } from '../../shared/cli/describe.ts';
import { OUTCOME_OUTPUT } from './github-actions.ts';
import { EXTENSION_VERSION, REPOSITORY, TASK_VERSION } from '../../shared/cli/project.ts';

/** `prod` is published; `test` is its twin for a test organisation, with identities of its own. */
export type Variant = 'prod' | 'test';

const CATEGORY: Record<Effects, string> = { reads: 'Utility', writes: 'Utility', destroys: 'Deploy' };

/** `mongodb-backup` → `MongodbBackupV1`: the folder of the task. */
export function taskFolder(step: AnyStep): string {
  return `${taskName(step.name)}V${TASK_VERSION.Major}`;
}

/** A task's id, for ever. @throws Error with a fresh one to review and add, when the step is new */
export function taskId(step: AnyStep, variant: Variant): string {
  const ids = (guids.tasks as Record<string, Record<Variant, string> | undefined>)[taskName(step.name)];
  if (ids) return ids[variant];
  const fresh = JSON.stringify({ [taskName(step.name)]: { prod: randomUUID(), test: randomUUID() } });
  throw new Error(`${step.name} has no task id. Add one to "tasks" of azure-tasks/guids.json, and never change it: ${fresh}`);
}

/** The text of `task.json`. */
export function taskJson(step: AnyStep, variant: Variant = 'prod', id = taskId(step, variant)): string {
  const inputs = inputsFor(step, 'azure');
  const groups = [...new Set(inputs.map(([, spec]) => spec.group).filter((group) => group !== undefined))];
  const outputs = [...Object.entries(step.outputs).map(([name, { summary }]) => ({ name, summary })), OUTCOME_OUTPUT];
  const handler = { target: `azure/${step.name}.mjs`, argumentFormat: '' };
  return json({
    $schema: 'https://raw.githubusercontent.com/Microsoft/azure-pipelines-task-lib/master/tasks.schema.json',
    id,
    name: taskName(step.name),
    friendlyName: step.title,
    description: step.summary,
    helpUrl: `https://github.com/${REPOSITORY}/tree/main/actions/${step.name}`,
    helpMarkDown: `[Inputs, outputs and examples](https://github.com/${REPOSITORY}/tree/main/actions/${step.name})`,
    category: CATEGORY[step.effects],
    author: 'Lifeboat',
    version: TASK_VERSION,
    // The first agent with Node 20; Node 24 is found by the task itself (azure-pipelines-agent docs/migrateNode24.md).
    minimumAgentVersion: '4.248.0',
    instanceNameFormat: step.title,
    runsOn: ['Agent'],
    groups: groups.map(formGroup),
    inputs: inputs.map(([name, spec]) =>
      taskInput(
        name,
        spec,
        inputs.map(([other]) => other),
      ),
    ),
    outputVariables: outputs.map(({ name, summary }) => ({ name, description: summary })),
    // Whatever a log line smuggles in, no other variable can be set by this task.
    restrictions: { settableVariables: { allowed: outputs.map(({ name }) => name) } },
    execution: { Node24: handler, Node20_1: handler },
  });
}

function taskInput(name: string, spec: InputSpec<unknown>, all: readonly string[]): Record<string, unknown> {
  const preset = faceDefault(spec);
  const rule = visibleRule(name, all);
  return {
    name,
    type: taskInputType(spec),
    label: labelOf(name),
    required: mustBeGiven(spec),
    // A check box that was never touched must mean what the step means by it.
    ...(preset === undefined ? {} : { defaultValue: preset }),
    helpMarkDown: helpOf(name, spec),
    ...(rule === undefined ? {} : { visibleRule: rule }),
    ...(spec.group === undefined ? {} : { groupName: groupName(spec.group) }),
    ...(spec.choices === undefined ? {} : { options: Object.fromEntries(spec.choices.map((choice) => [choice, choice])) }),
  };
}

function taskInputType(spec: InputSpec<unknown>): string {
  if (spec.kind === 'flag') return 'boolean';
  // A choice that dr.yml may make must be able to stay empty, which a pick list cannot.
  if (spec.kind === 'choice') return faceDefault(spec) === undefined ? 'string' : 'pickList';
  if (spec.kind === 'list') return 'multiLine';
  return spec.kind === 'serviceConnection' ? 'connectedService:AzureRM' : 'string';
}

/** `vss-extension.json`, for a folder that holds the built task folders beside it (scripts/build puts them there). */
export function extensionManifest(steps: readonly AnyStep[], variant: Variant): string {
  const test = variant === 'test';
  return json({
    manifestVersion: 1,
    id: test ? guids.extension.test : guids.extension.prod,
    publisher: guids.extension.publisher,
    version: EXTENSION_VERSION,
    name: test ? 'Lifeboat (Test)' : 'Lifeboat',
    description: 'Backup, restore-test and disaster-recovery tasks: every backup is proved restorable before it counts.',
    public: !test,
    galleryFlags: test ? ['Preview', 'Private'] : ['Public'],
    categories: ['Azure Pipelines'],
    tags: ['backup', 'restore', 'disaster recovery', ...KINDS.names, 'key vault'],
    targets: [{ id: 'Microsoft.VisualStudio.Services' }],
    icons: { default: 'icon.png' },
    links: {
      repository: { uri: `https://github.com/${REPOSITORY}` },
      issues: { uri: `https://github.com/${REPOSITORY}/issues` },
      license: { uri: `https://github.com/${REPOSITORY}/blob/main/LICENSE` },
    },
    repository: { type: 'git', uri: `https://github.com/${REPOSITORY}` },
    content: { details: { path: 'overview.md' }, license: { path: 'LICENSE' } },
    files: [
      ...steps.map((step) => ({ path: taskFolder(step), packagePath: taskFolder(step) })),
      { path: 'THIRD-PARTY-LICENCES.txt', packagePath: 'THIRD-PARTY-LICENCES.txt' },
    ],
    contributions: steps.map((step) => ({
      id: taskFolder(step),
      type: 'ms.vss-distributed-task.task',
      targets: ['ms.vss-distributed-task.tasks'],
      properties: { name: taskFolder(step) },
    })),
  });
}

/** The extension's page in the Visual Studio Marketplace. */
export function extensionOverview(steps: readonly AnyStep[]): string {
  return [
    '# Lifeboat',
    '',
    'Every backup is read back, decrypted, parsed to its last byte and proved equal before it counts; every restore is proved the same way.',
    '',
    '| Task | What it does |',
    '| --- | --- |',
    ...steps.map((step) => `| \`${taskName(step.name)}@${TASK_VERSION.Major}\` | ${step.summary} |`),
    '',
    `Inputs, examples and the same steps for GitHub Actions: https://github.com/${REPOSITORY}`,
    '',
  ].join('\n');
}

/**
 * What editors add to the Azure Pipelines YAML schema (`definitions.task`) to check calls of our tasks: an entry for
 * `properties.task.anyOf` and one for `anyOf` per task, in the shape of the service's own schema.
 */
export function editorSchema(steps: readonly AnyStep[]): string {
  const reference = (step: AnyStep): string => `${taskName(step.name)}@${TASK_VERSION.Major}`;
  return json({
    $comment:
      'Generated by scripts/generate. Append taskNames to definitions.task.properties.task.anyOf and taskCalls to definitions.task.anyOf ' +
      'of the Azure Pipelines schema, and name the result in azure-pipelines.customSchemaFile of the editor.',
    taskNames: steps.map((step) => ({ description: step.summary, doNotSuggest: false, ignoreCase: 'value', enum: [reference(step)] })),
    taskCalls: steps.map((step) => taskCall(step, reference(step))),
  });
}

function taskCall(step: AnyStep, reference: string): Record<string, unknown> {
  const inputs = inputsFor(step, 'azure');
  const required = inputs.filter(([, spec]) => mustBeGiven(spec)).map(([name]) => name);
  const inputSchema = (spec: InputSpec<unknown>): Record<string, unknown> => ({
    ...(spec.kind === 'flag' ? { type: 'boolean' } : spec.choices === undefined ? { type: 'string' } : {}),
    description: describeInput(spec),
    // Names of inputs are not case-sensitive, values of choices are.
    ignoreCase: 'key',
    ...(spec.choices === undefined ? {} : { enum: spec.choices }),
  });
  return {
    properties: {
      task: { description: `${step.title}\n\n${step.summary}`, ignoreCase: 'value', pattern: `^${reference}$` },
      inputs: {
        description: `${step.title} inputs`,
        properties: Object.fromEntries(inputs.map(([name, spec]) => [name, inputSchema(spec)])),
        additionalProperties: false,
        ...(required.length > 0 ? { required } : {}),
      },
    },
    doNotSuggest: false,
    firstProperty: ['task'],
    required: ['task', ...(required.length > 0 ? ['inputs'] : [])],
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

// Every kind has all five faces: GitHub, Azure Pipelines, the terminal, the READMEs and the schema of dr.yml.
import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { parse } from 'yaml';
import { taskJson } from '../../scripts/generators/azure-tasks.ts';
import { actionYaml, rootActionYaml } from '../../scripts/generators/github-actions.ts';
import { actionReadme } from '../../scripts/generators/readmes.ts';
import { addStepCommand } from '../../shared/cli/step-command.ts';
import { drSchemaOf } from '../../shared/config/schema.ts';
import { KINDS, type AnyKind } from '../../shared/kinds/registry.ts';
import { kebabCase } from '../../shared/step/input.ts';
import { stepsOf, stepsWith } from '../../shared/steps/index.ts';
import { textFile } from './text-file.ts';

const kinds = KINDS.with(textFile);
const steps = stepsWith(kinds);

describe.each(kinds.all.map((kind) => [kind.kind, kind] as const))('the faces of %s', (_name, kind: AnyKind) => {
  test.each(stepsOf(kind).map((step) => [step.name, step] as const))('%s has all of them', (name, step) => {
    expect(actionYaml(step)).toContain(`dist/github/${name}.mjs`);
    expect(rootActionYaml(steps)).toContain(name);
    expect(JSON.parse(taskJson(step, 'prod', 'a new id'))).toMatchObject({ friendlyName: step.title });
    expect(actionReadme(step)).toContain(step.summary);
    const program = new Command();
    addStepCommand(program, step);
    expect(program.commands[0]?.helpInformation()).toContain('--component');
  });

  test('dr.yml takes its name, and so do steps about any kind', async () => {
    const schema = await drSchemaOf(kinds);
    expect(JSON.stringify(schema.shape.components.toJSONSchema({ io: 'input' }))).toContain(`"${kind.kind}"`);
    for (const name of ['backup-all', 'backup-validation'])
      expect(steps.find((step) => step.name === name)?.inputs['type']?.choices).toContain(kind.kind);
  });
});

test('the root action declares what steps share, and nothing that is of one kind only', () => {
  const { inputs } = parse(rootActionYaml(steps)) as { inputs: Record<string, { description: string }> };
  const declared = Object.keys(inputs);
  expect(declared).toEqual(
    expect.arrayContaining(['step', 'config', 'component', 'store', 'vault', 'timestamp', 'confirm', 'dry-run', 'reason']),
  );
  expect(declared.length).toBeLessThan(25);
  const own = kinds.all.flatMap((kind) => Object.keys({ ...kind.inputs, ...kind.targetInputs, ...kind.compareInputs }).map(kebabCase));
  expect(own).toContain('text-file');
  expect(declared.filter((name) => own.includes(name))).toEqual([]);
});

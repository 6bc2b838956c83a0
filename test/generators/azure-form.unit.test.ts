// The form of the Azure tasks, as a person fills it in.
import { describe, expect, test } from '@jest/globals';
import { labelOf } from '../../scripts/generators/azure-form.ts';
import { taskJson } from '../../scripts/generators/azure-tasks.ts';
import { findStep, steps } from '../../shared/steps/index.ts';
import type { AnyStep } from '../../shared/step/define.ts';

interface Form {
  groups: { name: string; displayName: string; isExpanded: boolean }[];
  inputs: { name: string; label: string; groupName?: string; helpMarkDown: string; visibleRule?: string }[];
}
const formOf = (name: string): Form => JSON.parse(taskJson(findStep(name) as AnyStep)) as Form;

describe.each(steps.map(({ name }) => [name]))('the form of %s', (name) => {
  const { groups, inputs } = formOf(name);

  test('has a label of its own for each input, short enough for a line', () => {
    const labels = inputs.map(({ label }) => label);
    expect(new Set(labels).size).toBe(labels.length);
    expect(labels.filter((label) => label.length > 50 || /[a-z][A-Z](?!B)|\b(?:Uri|Url|Sas|Id)\b/.test(label))).toEqual([]);
  });

  test('shows an input by a rule about inputs that the task has', () => {
    for (const { visibleRule = '' } of inputs) {
      for (const [, other] of visibleRule.matchAll(/([A-Za-z]+) !?= /g)) expect(inputs.map((one) => one.name)).toContain(other);
    }
  });

  test('says of each secret how to give it', () => {
    const secrets = Object.entries(findStep(name)?.inputs ?? {}).filter(([, { kind }]) => kind === 'secret');
    for (const [secret] of secrets) {
      expect(inputs.find((one) => one.name === secret)?.helpMarkDown).toMatch(/Put `\$\([A-Z_]+\)` here: a secret variable/);
    }
  });

  test('has its groups open, but for what few people need', () => {
    const closed = groups.filter(({ isExpanded }) => !isExpanded).map(({ displayName }) => displayName);
    expect(['MongoDB inside a cluster', 'Rules (instead of those in dr.yml)']).toEqual(expect.arrayContaining(closed));
  });
});

test('a restore has one group for what decides whether data is touched', () => {
  const { groups, inputs } = formOf('mongodb-restore');
  const safety = groups.find(({ displayName }) => displayName === 'Safety');
  expect(safety?.isExpanded).toBe(true);
  expect(inputs.filter(({ groupName }) => groupName === safety?.name).map(({ name }) => name)).toEqual([
    'replace',
    'verifyFirst',
    'safetyBackup',
    'rollback',
    'confirm',
    'dryRun',
    'reason',
  ]);
  expect(inputs.find(({ name }) => name === 'safetyBackup')?.visibleRule).toBe('replace = true || rollback = true');
  expect(inputs.find(({ name }) => name === 'kubernetesPod')?.visibleRule).toBe('kubernetesNamespace != ""');
});

test('labels are what people call it', () => {
  expect(labelOf('mongodbUri')).toBe('MongoDB connection string');
  expect(labelOf('keepWithinDaily')).toBe('Keep within daily');
});

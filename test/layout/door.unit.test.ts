// What the pages for contributors say is true: files that they name are there, commands find something to run, a recipe makes what it says.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { renewArchitecture } from '../../scripts/generators/architecture.ts';
import { actionYaml } from '../../scripts/generators/github-actions.ts';
import { actionReadme } from '../../scripts/generators/readmes.ts';
import { defineStep } from '../../shared/step/define.ts';
import { targetInputs } from '../../shared/session/inputs.ts';

const PAGES = ['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/architecture.md'];
const contributing = readFileSync('CONTRIBUTING.md', 'utf8');

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(page, 'utf8');

  test('names files and folders that are there', () => {
    const named = [...text.matchAll(/`((?:shared|scripts|test|docs|actions|azure-tasks|pipelines)\/[\w./-]*)`/g)].map(
      ([, path]) => path ?? '',
    );
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });

  test('links to pages that are there', () => {
    const folder = page.includes('/') ? 'docs/' : '';
    const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, path]) => folder + (path ?? ''));
    expect(linked.filter((path) => !existsSync(path))).toEqual([]);
  });

  test('prints commands that have something to run', () => {
    const commands = [...text.matchAll(/^\$ \.\/scripts\/(\S+) ?([^#\n]*)/gm)].map(([, script = '', args = '']) => ({
      script,
      args: args.trim(),
    }));
    for (const { script, args } of commands) {
      expect(existsSync(`scripts/${script}`)).toBe(true);
      const [project = '', path] = args.split(/\s+/);
      if (script !== 'test' || path === undefined) continue;
      const found = globSync(`test/**/*.${project}.test.ts`).filter((file) => file.includes(path));
      expect([args, found.length > 0]).toEqual([args, true]);
    }
  });
});

test('there is a recipe for all that comes often', () => {
  const recipes = [...contributing.matchAll(/^## Recipe: (.*)$/gm)].map(([, what]) => what);
  expect(recipes).toEqual(['a step', 'a store', 'a channel', 'a kind', 'a message']);
  // Each ends with a command that shows that it was followed.
  for (const recipe of contributing.split(/^## Recipe: /m).slice(1)) expect(recipe).toMatch(/```console\n\$ \.\/scripts\/test /);
});

test('a step that follows the recipe has its faces', () => {
  const toy = defineStep({
    name: 'toy-step',
    title: 'Lifeboat: toy',
    summary: 'Does nothing.',
    description: 'Only a test knows it.',
    effects: 'reads',
    inputs: { component: targetInputs.component, name: targetInputs.name },
    outputs: { seconds: { summary: 'Duration in seconds.' } },
    examples: [{ what: 'At once', args: '' }],
    run: async () => undefined,
  });
  const action = parse(actionYaml(toy)) as { inputs: object; outputs: object; runs: { main: string } };
  expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(['component', 'name']));
  expect(action.runs.main).toBe('../../dist/github/toy-step.mjs');
  expect(actionReadme(toy)).toContain('lifeboat toy-step');
});

test('the table of rooms is the one that the imports are held to', () => {
  const rules = readFileSync('test/layout/rooms.unit.test.ts', 'utf8');
  const page = readFileSync('docs/architecture.md', 'utf8');
  expect(renewArchitecture(page, rules)).toBe(page);
  for (const room of globSync('shared/*', { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    expect(page).toContain(`| \`shared/${room.name}\` |`);
  }
});

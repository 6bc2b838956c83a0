import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validate } from '@actions/languageservice';
import { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } from '@actions/workflow-parser';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import azureYaml from 'azure-pipelines-language-service';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { actionlint, zizmor, type Tool } from '../backends/pipeline-tools.ts';
import { describeIf, describeWithReference, sharedReference } from '../support/needs.ts';
import { shippedYaml } from './shipped-yaml.ts';

const shipped = shippedYaml();
const workflows = shipped.filter(({ host }) => host === 'github');
const pipelines = shipped.filter(({ host }) => host === 'azure');

test('there is something to check for both hosts', () => {
  expect(workflows.length).toBeGreaterThan(0);
  expect(pipelines.length).toBeGreaterThan(0);
});

describe.each(workflows.map(({ name, content }) => [name, content] as const))('%s', (name, content) => {
  test("is valid for GitHub's own parser", async () => {
    const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter());
    if (value) await convertWorkflowTemplate(context, value);
    expect(context.errors.getErrors().map(({ message }) => message)).toEqual([]);
  });

  test("is valid for GitHub's language service", async () => {
    const document = TextDocument.create('file:///.github/workflows/x.yml', 'yaml', 1, content);
    expect((await validate(document)).map(({ message }) => message)).toEqual([]);
  });
});

// Built here, where no test's time limit counts.
const tools = { actionlint: await actionlint(), zizmor: await zizmor() };
const lacking = [tools.actionlint, tools.zizmor].flatMap((tool) => ('missing' in tool ? [tool.missing] : []));

describeIf(lacking.length === 0, lacking.join(', '))('workflows as linters see them', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lifeboat-lint-'));
    mkdirSync(join(folder, '.github', 'workflows'), { recursive: true });
    for (const [index, { content }] of workflows.entries()) {
      // Newer than the linter: `queue: max` and `$/`, which GitHub's own parser has judged above.
      const known = content.replace(/^\s*queue: max\b.*\n/gm, '').replaceAll('uses: $/', 'uses: octo/cat/');
      writeFileSync(join(folder, '.github', 'workflows', `w${index}.yml`), known);
    }
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const run = (tool: Tool, args: string[]): { status: number | null; text: string } => {
    if ('missing' in tool) throw new Error(tool.missing);
    const { status, stdout, stderr } = spawnSync(tool.program, args, { cwd: folder, encoding: 'utf8' });
    return { status, text: stdout + stderr };
  };
  const files = (): string[] => workflows.map((_, index) => `.github/workflows/w${index}.yml`);

  test('actionlint has nothing to say', () => {
    expect(run(tools.actionlint, ['-no-color', '-shellcheck=', '-pyflakes=', ...files()])).toEqual({ status: 0, text: '' });
  });

  test('zizmor finds nothing of medium severity or worse, our own tag aside', () => {
    const config = join(folder, 'zizmor.yml');
    // The examples show our moving tag; a reader who wants a hash pins it.
    writeFileSync(
      config,
      'rules:\n  unpinned-uses:\n    config:\n      policies:\n        "lifeboat-dr/*": ref-pin\n        "*": hash-pin\n',
    );
    const { status, text } = run(tools.zizmor, [
      '--offline',
      '--format',
      'plain',
      '--no-progress',
      '--min-severity',
      'medium',
      '-c',
      config,
      '.',
    ]);
    expect([status, text]).toEqual([0, expect.anything()]);
  });

  test('both find what is wrong in a bad workflow', () => {
    const bad = join(folder, 'bad.yml');
    const lines = [
      'on: issues',
      'jobs:',
      '  a:',
      '    runs-on: ubuntu-latest',
      '    steps:',
      '      - run: echo ${{ github.event.issue.title }}',
    ];
    writeFileSync(bad, `${lines.join('\n')}\n`);
    expect(run(tools.actionlint, ['-no-color', bad]).text).toContain('potentially untrusted');
    expect(run(tools.zizmor, ['--offline', '--format', 'plain', '--no-progress', bad]).text).toContain('template-injection');
  });
});

describeWithReference('schemas/azure-pipelines.schema.json')('Azure pipelines', () => {
  /** The service's schema with our tasks added, the way lifeboat.tasks.schema.json says. */
  const schema = (): object => {
    const base = JSON.parse(readFileSync(`${sharedReference}schemas/azure-pipelines.schema.json`, 'utf8')) as {
      definitions: { task: { properties: { task: { anyOf: unknown[] } }; anyOf: unknown[] } };
    };
    const ours = JSON.parse(readFileSync('azure-tasks/lifeboat.tasks.schema.json', 'utf8')) as {
      taskNames: unknown[];
      taskCalls: unknown[];
    };
    base.definitions.task.properties.task.anyOf.push(...ours.taskNames);
    base.definitions.task.anyOf.push(...ours.taskCalls);
    return base;
  };
  const uri = 'schema://azure-pipelines';
  const workspace = { resolveRelativePath: (path: string) => path };
  const service = azureYaml.getLanguageService(
    async () => schema(),
    [],
    async () => uri,
    workspace,
  );
  service.configure({ validate: true });

  beforeAll(() => {
    // The library tells the console of every schema it loads.
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
  });

  const problems = async (content: string): Promise<string[]> => {
    const document = TextDocument.create('file:///azure-pipelines.yml', 'azure-pipelines', 1, content);
    const found = await service.doValidation(document, azureYaml.parse(content));
    return found.map(({ message }) => (typeof message === 'string' ? message : message.value));
  };

  test.each(pipelines.map(({ name, content }) => [name, content] as const))('%s is valid', async (_, content) => {
    expect(await problems(content)).toEqual([]);
  });

  test('a call of our task with a misspelt input, a wrong choice or a wrong name is found', async () => {
    const call = (task: string, inputs: string): string => `steps:\n  - task: ${task}\n    inputs:\n      ${inputs}\n`;
    expect(await problems(call('MongodbBackup@1', 'store: x'))).toEqual([]);
    expect(await problems(call('MongodbBackup@1', 'stoer: x'))).not.toEqual([]);
    expect(await problems(call('MongodbBackup@1', 'engine: fast'))).not.toEqual([]);
    expect(await problems(call('MongodbBakcup@1', 'store: x'))).not.toEqual([]);
  });
});

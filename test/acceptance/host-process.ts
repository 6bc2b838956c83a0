// Starts a script the way GitHub's runner, Azure's agent or a terminal would, and reads what it told them.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { kebabCase } from '../../shared/step/input.ts';

/** The Node.js versions of the hosts, as npm brings them. */
export const NODE_24 = resolve('node_modules/node/bin/node');
export const NODE_20 = resolve('node_modules/node-20/bin/node');

export interface HostResult {
  exitCode: number | null;
  /** The output `outcome`; on a terminal the one of the JSON object. */
  outcome: string | undefined;
  outputs: Record<string, string>;
  summary: string;
  /** Standard output and error as they came. */
  log: string;
  stdout: string;
  /** Secrets the host was told to mask, in order. */
  masks: string[];
  /** Errors as the host would show them. */
  errors: string[];
  warnings: string[];
  /** Azure only: the result of `task.complete`. */
  taskResult?: string;
  /** Terminal with --json only. */
  json?: Record<string, unknown>;
  /** What was left in the temporary folder of the host. */
  leftInTemp: string[];
}

export interface StartOptions {
  /** Inputs in the host's own spelling. */
  inputs?: Record<string, string>;
  env?: Record<string, string>;
  node?: string;
  args?: string[];
  cwd?: string;
}

export interface HostProcess {
  child: ChildProcess;
  /** Waits until the text was printed. */
  printed: (text: string, timeoutMs?: number) => Promise<void>;
  result: Promise<HostResult>;
}

type Reader = (said: { stdout: string; log: string; exitCode: number | null }, folder: string) => HostResult;

/** Where a step is run. */
export const HOSTS = ['github', 'azure', 'terminal'] as const;
export type HostName = (typeof HOSTS)[number];
/** On a terminal secrets come from variables. */
const SECRET = /Uri$|Secret$|^storeSas$|^url$/;

/** Runs a step from dist/ on a host. Names of inputs are in camelCase, whatever the host writes. */
export async function runBuilt(
  host: HostName,
  step: string,
  inputs: Record<string, string>,
  env: Record<string, string> = {},
): Promise<HostResult> {
  if (host === 'azure') return startOnAzure(`dist/azure/${step}.mjs`, { env, inputs }).result;
  const given = Object.entries(inputs).map(([name, value]) => [name, kebabCase(name), value] as const);
  if (host === 'github') {
    const kebab = Object.fromEntries(given.map(([, name, value]) => [name, value]));
    return startOnGithub(`dist/github/${step}.mjs`, { env, inputs: kebab }).result;
  }
  const args = given.flatMap(([camel, name, value]) => (SECRET.test(camel) ? [] : [`--${name}=${value}`]));
  const secrets = given.flatMap(([camel, name, value]) =>
    SECRET.test(camel) ? [[`LIFEBOAT_${name.toUpperCase().replaceAll('-', '_')}`, value]] : [],
  );
  const variables = { ...env, ...(Object.fromEntries(secrets) as Record<string, string>) };
  return startOnTerminal('dist/cli.mjs', { args: [step, ...args, '--json'], env: variables }).result;
}

/** Like actions/runner: inputs in INPUT_ variables with hyphens kept, files for outputs, state and summary. */
export function startOnGithub(script: string, options: StartOptions = {}): HostProcess {
  const folder = hostFolder();
  const files = Object.fromEntries(
    ['OUTPUT', 'ENV', 'STATE', 'PATH', 'STEP_SUMMARY'].map((name) => [`GITHUB_${name}`, join(folder, name)]),
  );
  for (const file of Object.values(files)) writeFileSync(file, '');
  const env = {
    ...inputVariables(options.inputs, (name) => name.replaceAll(' ', '_').toUpperCase()),
    ...files,
    GITHUB_ACTIONS: 'true',
    GITHUB_RUN_ID: '4711',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_REPOSITORY: 'octo/cat',
    GITHUB_WORKFLOW: 'Nightly',
    RUNNER_TEMP: join(folder, 'temp'),
  };
  return start(script, folder, env, options, (said) => {
    const lines = said.log.split('\n');
    const outputs = readFileCommands(readFileSync(join(folder, 'OUTPUT'), 'utf8'));
    return {
      ...base(said, folder, outputs),
      summary: readFileSync(join(folder, 'STEP_SUMMARY'), 'utf8'),
      masks: commands(lines, 'add-mask'),
      errors: commands(lines, 'error'),
      warnings: commands(lines, 'warning'),
    };
  });
}

/** Like the Azure Pipelines agent: inputs in INPUT_ variables, everything told by `##vso` lines. */
export function startOnAzure(script: string, options: StartOptions = {}): HostProcess {
  const folder = hostFolder();
  const env = {
    ...inputVariables(options.inputs, (name) => name.toUpperCase()),
    AGENT_TEMPDIRECTORY: join(folder, 'temp'),
    AGENT_WORKFOLDER: folder,
    AGENT_VERSION: '4.270.0',
    BUILD_BUILDID: '4711',
    SYSTEM_COLLECTIONURI: 'https://dev.azure.com/octo/',
    SYSTEM_TEAMPROJECT: 'cat',
  };
  return start(script, folder, env, options, (said) => {
    const told = vsoCommands(said.log);
    const outputs = Object.fromEntries(
      told.filter(({ name }) => name === 'task.setvariable').map(({ properties, message }) => [properties['variable'] ?? '', message]),
    );
    const issues = (type: string): string[] =>
      told.filter(({ name, properties }) => /^task\.(log)?issue$/.test(name) && properties['type'] === type).map(({ message }) => message);
    const results = told.filter(({ name }) => name === 'task.complete').map(({ properties }) => properties['result'] ?? '');
    const summaries = told.filter(({ name }) => name === 'task.uploadsummary').map(({ message }) => readFileSync(message, 'utf8'));
    return {
      ...base(said, folder, outputs),
      summary: summaries.join('\n'),
      masks: told.filter(({ name }) => name === 'task.setsecret').map(({ message }) => message),
      errors: issues('error'),
      warnings: issues('warning'),
      ...(results[0] === undefined ? {} : { taskResult: results.join(',') }),
    };
  });
}

/** Like a shell without a terminal. With `--json` among the arguments, `json` is the object on standard output. */
export function startOnTerminal(script: string, options: StartOptions = {}): HostProcess {
  const folder = hostFolder();
  return start(script, folder, { TMPDIR: join(folder, 'temp'), HOME: folder }, options, (said) => {
    const json = said.stdout.trimStart().startsWith('{') ? (JSON.parse(said.stdout) as Record<string, unknown>) : undefined;
    const outputs = (json?.['outputs'] ?? {}) as Record<string, string>;
    return {
      ...base(said, folder, outputs),
      outcome: json?.['outcome'] as string | undefined,
      summary: '',
      masks: [],
      errors: said.log.split('\n').filter((line) => line.startsWith('error: ')),
      warnings: said.log.split('\n').filter((line) => line.startsWith('warning: ')),
      ...(json === undefined ? {} : { json }),
    };
  });
}

function hostFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-host-'));
  mkdirSync(join(folder, 'temp'));
  return folder;
}

function inputVariables(inputs: Record<string, string> = {}, spell: (name: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${spell(name)}`, value]));
}

function start(script: string, folder: string, env: Record<string, string>, options: StartOptions, read: Reader): HostProcess {
  const child = spawn(options.node ?? NODE_24, ['--disable-warning=ExperimentalWarning', resolve(script), ...(options.args ?? [])], {
    env: { PATH: process.env['PATH'], ...env, ...options.env },
    cwd: options.cwd ?? folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    log += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const result = new Promise<HostResult>((resolvePromise, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => {
      try {
        resolvePromise(read({ stdout, log, exitCode }, folder));
      } catch (thrown) {
        reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
  const printed = async (text: string, timeoutMs = 60_000): Promise<void> => {
    const deadline = Date.now() + timeoutMs;
    while (!log.includes(text)) {
      const ended = child.exitCode !== null || child.signalCode !== null;
      if (ended || Date.now() > deadline) throw new Error(`"${text}" was not printed:\n${log}`);
      await new Promise((resume) => setTimeout(resume, 20));
    }
  };
  return { child, printed, result };
}

function base(said: { stdout: string; log: string; exitCode: number | null }, folder: string, outputs: Record<string, string>) {
  const temp = join(folder, 'temp');
  const leftInTemp = existsSync(temp) ? readdirSync(temp).filter((name) => !name.startsWith('.taskkey')) : [];
  return { ...said, outputs, outcome: outputs['outcome'], leftInTemp };
}

/** `name<<delimiter`, value, delimiter: the runner's file commands. */
function readFileCommands(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const match of text.matchAll(/^([^\n<]+)<<(\S+)\r?\n([\s\S]*?)\r?\n\2$/gm)) values[match[1] as string] = match[3] as string;
  return values;
}

function commands(lines: string[], name: string): string[] {
  const pattern = new RegExp(`^::${name}(?: [^:]*)?::(.*)$`);
  return lines
    .flatMap((line) => pattern.exec(line)?.[1] ?? [])
    .map((text) => text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%'));
}

interface VsoCommand {
  name: string;
  properties: Record<string, string>;
  message: string;
}

/** The commands an agent would obey: anywhere in a line, any case. */
export function vsoCommands(log: string): VsoCommand[] {
  return log.split('\n').flatMap((line) => {
    const match = /##vso\[([a-z.]+)(?: ([^\]]*))?\](.*)$/i.exec(line);
    if (!match) return [];
    const pairs = (match[2] ?? '').split(';').filter((pair) => pair.includes('='));
    const properties = Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), unescape(pair.slice(pair.indexOf('=') + 1))]),
    );
    return [{ name: (match[1] as string).toLowerCase(), properties, message: unescape(match[3] ?? '') }];
  });
}

function unescape(text: string): string {
  return text
    .replaceAll('%3B', ';')
    .replaceAll('%5D', ']')
    .replaceAll('%0D', '\r')
    .replaceAll('%0A', '\n')
    .replace(/%AZP25|%25/g, '%');
}

// What `lifeboat init` does: answers from flags, questions or defaults → files that are proved valid before they are written.
import { existsSync, globSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  initFiles,
  NEXT_COMMANDS,
  remainingWork,
  USUAL_SELECTOR,
  type InitAnswers,
  type InitFile,
  type InitPod,
  type Published,
} from '../../shared/config/init.ts';
import { parseDr } from '../../shared/config/load.ts';
import { ConfigError } from '../../shared/config/problem.ts';
import type { StepContext, StepReturn } from '../../shared/step/define.ts';
import { RefusedError, UsageError, UserError } from '../../shared/step/errors.ts';
import { expandHome } from '../../shared/step/home-path.ts';
import type { Host } from '../../shared/step/host.ts';
import { fileReason } from '../../shared/tools/file-errors.ts';
import { makeFolder } from '../../shared/tools/make-folder.ts';

interface Inputs extends Omit<InitAnswers, 'name' | 'store' | 'vault' | 'kubernetes' | 'github' | 'azure'> {
  name: string | undefined;
  store: string | undefined;
  vault: string | undefined;
  github: boolean | undefined;
  azure: boolean | undefined;
  kubernetesNamespace: string | undefined;
  kubernetesSelector: string | undefined;
  kubernetesPod: string | undefined;
  kubernetesContainer: string | undefined;
  kubernetesContext: string | undefined;
  folder: string | undefined;
  yes: boolean;
  force: boolean;
}

export async function runInit(context: StepContext, published: Published): Promise<StepReturn> {
  const inputs = context.inputs as unknown as Inputs;
  const { host } = context;
  const folder = resolve(inputs.folder ?? '.');
  refuseExisting(folder, [{ path: 'dr.yml', content: '' }], inputs.force, host.spell('force'));
  const answers = await collectAnswers(context, inputs, folder, published);
  const { notices } = parseAnswers(answers, published, host);
  const files = initFiles(answers, published);
  refuseExisting(folder, files, inputs.force, host.spell('force'));
  for (const file of files) await write(folder, file, inputs.force);
  for (const place of [answers.store, answers.vault]) await makePlace(host, folder, place);

  for (const { path } of files) host.info(`Wrote ${path}.`);
  for (const { message } of notices) host.notice(message);
  const remaining = remainingWork(answers);
  host.info('\nBefore the first run:');
  for (const { where, what } of remaining) host.info([`  ${where}:`, ...what.map((line) => `    ${line}`)].join('\n'));
  host.info(['\nThen:', ...NEXT_COMMANDS.map((command) => `  ${command}`)].join('\n'));
  return { result: { files: files.map(({ path }) => path), remaining, next: NEXT_COMMANDS } };
}

/** Asks a person, again after a wrong answer; the preset when there is no answer. A question without a preset has a line of its own. */
type Ask = (question: string, preset: string | undefined, check?: (text: string) => unknown) => Promise<string | undefined>;

function asker(host: Host, yes: boolean): Ask {
  return async (question, preset, check) => {
    if (yes) return preset;
    for (;;) {
      const typed = (await host.ask(preset === undefined ? `${question}\n> ` : `${question} [${preset}]: `))?.trim();
      if (typed === undefined || typed === '') return preset;
      try {
        check?.(typed);
        return typed;
      } catch (thrown) {
        // Whoever types is asked again at once, not told at the end.
        if (!(thrown instanceof UsageError)) throw thrown;
        host.warning([thrown.message, thrown.fix].filter((text) => text !== undefined).join(' '));
      }
    }
  };
}

async function agrees(ask: Ask, question: string, preset: boolean): Promise<boolean> {
  return /^(y|yes|true)$/i.test((await ask(question, preset ? 'yes' : 'no', yesOrNo)) ?? '');
}

/** @throws UsageError for a word that is neither */
function yesOrNo(text: string): void {
  if (!/^(y|yes|true|n|no|false)$/i.test(text))
    throw new UsageError(`${JSON.stringify(text)} is neither yes nor no.`, { fix: 'Type yes or no.' });
}

async function collectAnswers(context: StepContext, inputs: Inputs, folder: string, published: Published): Promise<InitAnswers> {
  const { host } = context;
  const ask = asker(host, inputs.yes);
  const tryOut = (answer: Partial<InitAnswers>): unknown => parseAnswers({ ...inputs, ...PLACEHOLDERS, ...answer }, published, host);
  const name = inputs.name ?? (await ask('Name of what is protected', nameOf(folder), (text) => tryOut({ name: text })));
  const kubernetes = await podAnswer(inputs, ask, (pod) => tryOut({ kubernetes: pod }));
  const store = inputs.store ?? (await ask('Store: a folder, or https://<account>.blob.core.windows.net/<container>', undefined, address));
  const vault = inputs.vault ?? (await ask('Vault for the keys: a folder, or https://<name>.vault.azure.net', undefined, address));
  const missing = Object.entries({ name, store, vault }).filter(([, value]) => value === undefined);
  if (name === undefined || store === undefined || vault === undefined) {
    throw new UsageError(`${missing.map(([input]) => host.spell(input)).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not given.`, {
      fix: 'Give what is missing as options, or run this on a terminal without --yes to be asked.',
    });
  }
  const { component, escrow, retention, rpo, rto, hour, schedule, serviceConnection, branch } = inputs;
  return {
    ...{ name, store: address(store), vault: address(vault), component, kubernetes, escrow, retention, rpo, rto, hour, schedule },
    github: inputs.github ?? (await agrees(ask, 'Write a GitHub workflow?', existsSync(join(folder, '.github')))),
    azure:
      inputs.azure ?? (await agrees(ask, 'Write an Azure pipeline?', globSync('azure-pipelines*.{yml,yaml}', { cwd: folder }).length > 0)),
    ...{ serviceConnection, branch },
  };
}

/** The pod that runs MongoDB; undefined where a connection string reaches it. */
async function podAnswer(inputs: Inputs, ask: Ask, tryOut: (pod: InitPod) => unknown): Promise<InitPod | undefined> {
  const { kubernetesPod: pod, kubernetesContainer: container, kubernetesContext: context } = inputs;
  const isNamespace = (text: string): unknown => tryOut({ namespace: text, selector: USUAL_SELECTOR });
  const question = 'Is MongoDB reachable only from inside a Kubernetes cluster?';
  const namespace =
    inputs.kubernetesNamespace ??
    ((await agrees(ask, question, false)) ? await ask('Namespace of its pods', 'default', isNamespace) : undefined);
  if (namespace === undefined) return undefined;
  const isSelector = (text: string): unknown => tryOut({ namespace: 'default', selector: text });
  const selector =
    inputs.kubernetesSelector ?? (pod === undefined ? await ask('Label selector of its pods', USUAL_SELECTOR, isSelector) : undefined);
  return { namespace, selector, pod, container, context };
}

/** Stand for what is not asked yet. */
const PLACEHOLDERS = { name: 'name', store: './backups', vault: './keys', github: false, azure: false };

/** Where in dr.yml each answer ends up. */
const ANSWER_AT: readonly [path: RegExp, input: string][] = [
  [/^name$/, 'name'],
  [/^stores\b/, 'store'],
  [/^vault\b/, 'vault'],
  [/^keys\b/, 'escrow'],
  [/^objectives\.rpo$/, 'rpo'],
  [/^objectives\.rto$/, 'rto'],
  [/\.retention\b/, 'retention'],
  [/\.schedule$/, 'schedule'],
  [/\.kubernetes\.namespace$/, 'kubernetesNamespace'],
  [/\.kubernetes\.pod$/, 'kubernetesPod'],
  [/\.kubernetes\.container$/, 'kubernetesContainer'],
  [/\.kubernetes\.context$/, 'kubernetesContext'],
  [/\.kubernetes\b/, 'kubernetesSelector'],
  [/^components\b/, 'component'],
];

/** The dr.yml of the answers. The file's own checks are the checks of the answers. @throws UsageError that names the flags */
function parseAnswers(answers: InitAnswers, published: Published, host: Host): ReturnType<typeof parseDr> {
  try {
    return parseDr(initFiles({ ...answers, github: false, azure: false }, published)[0]?.content ?? '', 'dr.yml');
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const lines = thrown.problems.map(({ path, message }) => {
      const input = ANSWER_AT.find(([pattern]) => pattern.test(path))?.[1];
      return `${input === undefined ? path : host.spell(input)}: ${message}.`;
    });
    throw new UsageError(lines.join('\n'), { fix: '"lifeboat init --help" explains each answer.', cause: thrown });
  }
}

/** @throws UsageError for an address that holds a secret or is none of ours */
function address(text: string): string {
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return text;
  if (!URL.canParse(text) || new URL(text).protocol !== 'https:') {
    throw new UsageError(`${JSON.stringify(text.split('?')[0])} is neither an https address nor a folder.`, {
      fix: 'Write it like https://stdrprod.blob.core.windows.net/backups, or ./backups.',
    });
  }
  if (text.includes('?')) {
    throw new UsageError('The address contains a SAS, which must not be in a file.', {
      fix: 'Give the address without the part from "?" on; in dr.yml the SAS is sas: "${env:STORE_SAS}".',
    });
  }
  return text.replace(/\/$/, '');
}

/** The folder's name as a name that dr.yml takes; undefined when nothing of it is left. */
function nameOf(folder: string): string | undefined {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return name === '' ? undefined : name;
}

/** @throws RefusedError before a single file is written */
function refuseExisting(folder: string, files: readonly InitFile[], force: boolean, spelt: string): void {
  const taken = files.map(({ path }) => path).filter((path) => existsSync(join(folder, path)));
  if (force || taken.length === 0) return;
  throw new RefusedError(`${taken.join(' and ')} already ${taken.length === 1 ? 'exists' : 'exist'}. Nothing was written.`, {
    fix: `Use ${spelt} to overwrite what is there, or edit it by hand.`,
  });
}

/**
 * Makes the folder of a store or a vault: backups, and nothing else after this, make one that is not there. Where the backups run on another
 * machine, it is made there.
 */
async function makePlace(host: Host, folder: string, place: string): Promise<void> {
  if (/^[a-z][a-z0-9+.-]+:/i.test(place)) return;
  const path = resolve(folder, expandHome(place));
  if (existsSync(path)) return;
  try {
    await makeFolder(path);
    host.info(`Made the folder ${path}.`);
  } catch (thrown) {
    const { reason } = fileReason(thrown) ?? { reason: String(thrown) };
    host.notice(`The folder ${path} is not there and cannot be made: ${reason}. Where backups run, the first one makes it.`);
  }
}

async function write(folder: string, { path, content }: InitFile, force: boolean): Promise<void> {
  const target = join(folder, path);
  try {
    await mkdir(dirname(target), { recursive: true });
    // `wx` refuses a file that appeared meanwhile.
    await writeFile(target, content, { flag: force ? 'w' : 'wx' });
  } catch (cause) {
    throw new UserError(`${path} cannot be written: ${(cause as Error).message}.`, { fix: 'Check the rights on the folder.', cause });
  }
}

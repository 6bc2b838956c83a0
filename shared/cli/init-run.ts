// What `lifeboat init` does: answers from flags, questions or defaults → files that are proved valid before they are written.
import { createPublicKey } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import {
  ESCROW_COMMANDS,
  initFiles,
  NEXT_COMMANDS,
  PIPELINE_PATH,
  remainingWork,
  WORKFLOW_PATH,
  type InitAnswers,
  type InitFile,
  type Published,
} from '../config/init.ts';
import type { Ask, Asking, InitComponent, Question } from '../backup/kind-init.ts';
import type { DrConfig } from '../config/dr-config.ts';
import { parseDr } from '../config/load.ts';
import { ConfigError } from '../config/problem.ts';
import { drSchemaOf } from '../config/schema.ts';
import type { AnyKind, Kinds } from '../kinds/registry.ts';
import type { InputSpecs, InputValues, StepReturn } from '../step/define.ts';
import { RefusedError, UsageError, UserError } from '../step/errors.ts';
import { expandHome } from '../step/home-path.ts';
import type { Host } from '../step/host.ts';
import { fileReason } from '../tools/file-errors.ts';
import { makeFolder } from '../tools/make-folder.ts';
import { shellWord } from '../step/shell.ts';
import { configPaths } from '../step/run.ts';
import type { Context } from './init-inputs.ts';
import { initInputsOf, usualComponent } from './init-kind.ts';

type Inputs = Context['inputs'];

export async function runInit(context: Context, kinds: Kinds, published: Published): Promise<StepReturn> {
  const { host, inputs } = context;
  const folder = resolve(inputs.folder ?? '.');
  refuseMissing(folder, inputs, host);
  refuseExisting(folder, askedFor(inputs), inputs.force, host.spell('force'));
  const schema = await drSchemaOf(kinds);
  const parse: Parse = (answers) => parseAnswers(answers, { published, host, kinds, schema });
  const answers = await collectAnswers(context, kinds, folder, parse);
  const { notices } = parse(answers);
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

/** The dr.yml of some answers. @throws UsageError that names the options */
type Parse = (answers: InitAnswers) => DrConfig;

function asker(host: Host, yes: boolean): Ask {
  return async (question, { preset: first, needed, check, suggest } = {}) => {
    if (yes) return first;
    let preset = first;
    for (;;) {
      const typed = (await host.ask(preset === undefined ? `${question}\n> ` : `${question} [${preset}]: `))?.trim();
      // No one is there to answer.
      if (typed === undefined) return first;
      const answer = typed === '' ? preset : typed;
      if (answer === undefined) {
        if (needed === undefined || needed === false) return undefined;
        host.warning('This one has no default. Ctrl-C ends without writing anything.');
        continue;
      }
      try {
        check?.(answer);
        return answer;
      } catch (thrown) {
        // The person who types is asked again at once, not told at the end.
        if (!(thrown instanceof UsageError)) throw thrown;
        host.warning([thrown.message, thrown.fix].filter((text) => text !== undefined).join(' '));
        preset = suggest?.(answer) ?? first;
      }
    }
  };
}

async function agrees(ask: Ask, question: string, preset: boolean, checkYes?: () => void): Promise<boolean> {
  const check = (text: string): void => {
    if (!/^(y|yes|true|n|no|false)$/i.test(text))
      throw new UsageError(`${JSON.stringify(text)} is neither yes nor no.`, { fix: 'Type yes or no.' });
    if (isYes(text)) checkYes?.();
  };
  return isYes((await ask(question, { preset: preset ? 'yes' : 'no', check })) ?? '');
}

function isYes(text: string): boolean {
  return /^(y|yes|true)$/i.test(text);
}

/** Asks as `ask` does, and remembers what is needed and no one has answered. */
function remembering(ask: Ask, missing: string[]): Ask {
  return async (question, about = {}) => {
    const answer = await ask(question, about);
    if (answer === undefined && typeof about.needed === 'string') missing.push(about.needed);
    return answer;
  };
}

/** Answers with what is preset: what options alone make of a component. */
const PRESETS: Asking = {
  ask: async (_question, { preset } = {}) => preset,
  agrees: async (_question, preset) => preset,
  tryOut: () => undefined,
};

async function collectAnswers(context: Context, kinds: Kinds, folder: string, parse: Parse): Promise<InitAnswers> {
  const { host, inputs } = context;
  const missing: string[] = [];
  const ask = remembering(asker(host, inputs.yes), missing);
  let kind = kinds.get(inputs.kind ?? kinds.names[0] ?? '');
  const placeholders = { ...inputs, ...PLACEHOLDERS, ...given(inputs), component: inputs.component ?? kind.kind };
  const of = await componentOf(kind, inputs, PRESETS);
  const tryOut = (answer: Partial<InitAnswers>): unknown => parse({ ...placeholders, of, ...answer });
  // A wrong option is told before the first question, not after the last.
  tryOut({});
  if (inputs.store !== undefined && inputs.vault !== undefined) refuseSamePlace(folder, inputs.store, inputs.vault);
  const isName = (text: string): unknown => tryOut({ name: text });
  const name =
    inputs.name ??
    (await ask('Name of what is protected', { preset: slug(basename(folder)), check: isName, suggest: slug, needed: 'name' }));
  if (inputs.kind === undefined && kinds.all.length > 1) kind = kinds.get((await ask(...kindQuestion(kinds))) ?? kind.kind);
  const component = await componentOf(kind, inputs, {
    ask,
    agrees: (question, preset, checkYes) => agrees(ask, question, preset, checkYes),
    tryOut: (tried) => tryOut({ of: tried }),
  });
  const { store, vault } = await placesAnswer(ask, inputs, folder, tryOut);
  if (name === undefined || store === undefined || vault === undefined || missing.length > 0) {
    throw new UsageError(`${missing.map((input) => host.spell(input)).join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not given.`, {
      fix: 'Give what is missing as options, or run this on a terminal without --yes to be asked.',
    });
  }
  const isEscrow = (text: string): void => {
    checkEscrow(folder, text);
  };
  const escrow = inputs.escrow ?? (await ask(ESCROW_QUESTION, { check: isEscrow }));
  const { retention, rpo, rto, hour, schedule, serviceConnection, branch } = inputs;
  return {
    ...{ name, store, vault: vaultAddress(vault), component: inputs.component ?? kind.kind, of: component },
    ...{ escrow, retention, rpo, rto, hour, schedule },
    github:
      inputs.github ??
      (await agreesToFile(host, ask, {
        question: 'Write a GitHub workflow?',
        path: WORKFLOW_PATH,
        option: 'github',
        folder,
        force: inputs.force,
        hint: existsSync(join(folder, '.github')),
      })),
    azure:
      inputs.azure ??
      (await agreesToFile(host, ask, {
        question: 'Write an Azure pipeline?',
        path: PIPELINE_PATH,
        option: 'azure',
        folder,
        force: inputs.force,
        hint: globSync('azure-pipelines*.{yml,yaml}', { cwd: folder }).length > 0,
      })),
    ...{ serviceConnection, branch },
  };
}

/** Where the backups go, and where the keys. */
async function placesAnswer(ask: Ask, inputs: Inputs, folder: string, tryOut: (answer: Partial<InitAnswers>) => unknown) {
  const isStore = (text: string): void => {
    tryOut({ store: forNow(storeAddress(text)) });
    if (inputs.vault !== undefined) refuseSamePlace(folder, text, inputs.vault);
  };
  const where = inputs.store ?? (await ask(STORE_QUESTION, { needed: 'store', check: isStore }));
  const store = where === undefined ? undefined : await completedStore(ask, storeAddress(where), (address) => tryOut({ store: address }));
  const isVault = (text: string): void => {
    tryOut({ vault: vaultAddress(text) });
    if (store !== undefined) refuseSamePlace(folder, store, text);
  };
  const vault = inputs.vault ?? (await ask(VAULT_QUESTION, { needed: 'vault', check: isVault }));
  return { store, vault };
}

interface FileQuestion {
  question: string;
  path: string;
  /** The input that asks for the file. */
  option: string;
  folder: string;
  force: boolean;
  /** The folder looks as if its owner wants one. */
  hint: boolean;
}

/** Whether to write a file that was not asked for by an option. One that is there is never written over unless it is asked for. */
async function agreesToFile(host: Host, ask: Ask, { question, path, option, folder, force, hint }: FileQuestion): Promise<boolean> {
  const there = existsSync(join(folder, path));
  const agreed = await agrees(ask, there ? `${question} (${path} is there already)` : question, hint && !there, () => {
    if (!there || force) return;
    throw new UsageError(`${path} exists already.`, { fix: `Type no to leave it as it is; ${host.spell('force')} writes over it.` });
  });
  if (there && !agreed) host.notice(`${path} stays as it is. ${host.spell(option)} with ${host.spell('force')} writes it anew.`);
  return agreed;
}

const STORE_QUESTION = [
  'Where do the backups go?',
  '  https://<account>.blob.core.windows.net/<container>',
  '  s3://<bucket>',
  '  sftp://<user>@<host>/<path>',
  '  or a folder, such as /mnt/backups',
].join('\n');
const VAULT_QUESTION = [
  'Where do the keys go? Never to the same place as the backups.',
  '  https://<name>.vault.azure.net',
  '  or a folder, such as /mnt/keys',
].join('\n');
const ESCROW_QUESTION = [
  'An escrow key opens every backup when the vault is gone. Make the pair once,',
  'on a machine that is off line, and keep the private half there:',
  ...ESCROW_COMMANDS.map((command) => `  ${command.replace(' -pkeyopt', ' \\\n    -pkeyopt')}`),
  'Escrow public key file, or Enter for none',
].join('\n');

/** The store's address with what such a store cannot do without. */
async function completedStore(ask: Ask, address: string, check: (address: string) => unknown): Promise<string> {
  const url = /^(?:s3|sftp):/i.test(address) ? new URL(address) : undefined;
  const withValue =
    (name: string) =>
    (value: string): string =>
      `${address}${address.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`;
  const extend = async (question: string, name: string, needed = false): Promise<string> => {
    const value = await ask(question, { needed, check: (text) => check(withValue(name)(text)) });
    return value === undefined ? address : withValue(name)(value);
  };
  if (url?.protocol === 's3:' && !url.searchParams.has('region')) {
    address = await extend('Region of the bucket, such as eu-central-1, or Enter to take AWS_REGION from the environment', 'region');
    if (!url.searchParams.has('endpoint'))
      address = await extend('Address of the S3 service, such as https://s3.example.org, or Enter for AWS', 'endpoint');
  }
  if (url?.protocol === 'sftp:' && !url.searchParams.has('fingerprint')) {
    const port = url.port === '' ? '' : `-p ${url.port} `;
    address = await extend(
      `Fingerprint of the server's host key, SHA256:…. This shows it: ssh-keyscan ${port}${url.hostname} | ssh-keygen -lf -`,
      'fingerprint',
      true,
    );
  }
  return address;
}

function kindQuestion(kinds: Kinds): [question: string, about: Question] {
  const check = (text: string): void => {
    if (!kinds.find(text)) throw new UsageError(`${JSON.stringify(text)} is no kind.`, { fix: `It is one of: ${kinds.names.join(', ')}.` });
  };
  return [`What is protected? ${kinds.names.join(', ')}`, { preset: kinds.names[0], check }];
}

/** The component as its kind makes it of the options and the answers. */
async function componentOf(kind: AnyKind, inputs: InputValues<InputSpecs>, asking: Asking): Promise<InitComponent> {
  const { init } = kind;
  return init === undefined ? usualComponent(kind, inputs, asking) : init.component(inputs, asking);
}

/** Stand for what is not asked yet. */
const PLACEHOLDERS = { name: 'name', store: './backups', vault: './keys', github: false, azure: false };

/** The answers that were given as options. */
function given(inputs: Inputs): Partial<InitAnswers> {
  const { name, store, vault } = inputs;
  return {
    ...(name === undefined ? {} : { name }),
    ...(store === undefined ? {} : { store: forNow(storeAddress(store)) }),
    ...(vault === undefined ? {} : { vault: vaultAddress(vault) }),
  };
}

/** An address with a placeholder for what is asked later. */
function forNow(address: string): string {
  if (!/^sftp:/i.test(address) || /[?&]fingerprint=/.test(address)) return address;
  return `${address}${address.includes('?') ? '&' : '?'}fingerprint=SHA256:${'A'.repeat(43)}`;
}

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
  [/^components\b/, 'component'],
];

interface Parsing {
  published: Published;
  host: Host;
  kinds: Kinds;
  schema: Awaited<ReturnType<typeof drSchemaOf>>;
}

/** The dr.yml of the answers. The file's own checks are the checks of the answers. @throws UsageError that names the options */
function parseAnswers(answers: InitAnswers, { published, host, kinds, schema }: Parsing): DrConfig {
  const content = initFiles({ ...answers, github: false, azure: false }, published)[0]?.content ?? '';
  try {
    return parseDr(content, 'dr.yml', { kinds }, schema);
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const lines = thrown.problems.map(({ path, message }) => {
      const input = inputAt(path, initInputsOf(kinds));
      return `${input === undefined ? path : host.spell(input)}: ${message}.`;
    });
    throw new UsageError(lines.join('\n'), { fix: '"lifeboat init --help" explains each answer.', cause: thrown });
  }
}

/** The input whose answer stands at a path of dr.yml. */
function inputAt(path: string, kindInputs: InputSpecs): string | undefined {
  const own = Object.entries(kindInputs).find(([, spec]) => configPaths(spec).some((key) => path.endsWith(`.${key}`)));
  return own?.[0] ?? ANSWER_AT.find(([pattern]) => pattern.test(path))?.[1];
}

/** @throws UsageError for an address that holds a secret or is none of a store */
function storeAddress(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return text;
  const shown = JSON.stringify(text.split('?')[0]);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['https', 's3', 'sftp'].includes(scheme) || url.hostname === '') {
    throw new UsageError(`${shown} is neither the address of a store nor a folder.`, {
      fix: 'Write it like https://stdrprod.blob.core.windows.net/backups, s3://dr-backups, sftp://backup@host.example.org/srv/backups or ./backups.',
    });
  }
  if (/\.vault\./i.test(url.hostname)) {
    throw new UsageError(`${shown} is a vault. It takes the keys, not the backups.`, {
      fix: 'The store is written like https://stdrprod.blob.core.windows.net/backups.',
    });
  }
  if (url.password !== '') {
    throw new UsageError('The address contains a password, which must not be in a file.', {
      fix: 'Give the address without it; in dr.yml the password is password: "${env:SFTP_PASSWORD}".',
    });
  }
  if (scheme === 'sftp' && url.username === '') {
    throw new UsageError(`${shown} does not say who signs in.`, { fix: 'Write it like sftp://backup@host.example.org/srv/backups.' });
  }
  if (scheme === 'https' && text.includes('?')) {
    throw new UsageError('The address contains a SAS, which must not be in a file.', {
      fix: 'Give the address without the part from "?" on; in dr.yml the SAS is sas: "${env:STORE_SAS}".',
    });
  }
  return text.replace(/\/$/, '');
}

/** @throws UsageError for an address that is none of a vault */
function vaultAddress(text: string): string {
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return text;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || /\.blob\./i.test(url.hostname)) {
    throw new UsageError(`${JSON.stringify(text.split('?')[0])} is neither the address of a Key Vault nor a folder.`, {
      fix: 'Write it like https://kv-dr-prod.vault.azure.net, or ./keys.',
    });
  }
  return url.origin;
}

/** @throws UsageError when the keys would be where the backups are */
function refuseSamePlace(folder: string, store: string, vault: string): void {
  if (/^[a-z][a-z0-9+.-]+:/i.test(store) || /^[a-z][a-z0-9+.-]+:/i.test(vault)) return;
  const [backups, keys] = [resolve(folder, expandHome(store)), resolve(folder, expandHome(vault))];
  const within = (outer: string, inner: string): boolean => !relative(outer, inner).startsWith('..') && !isAbsolute(relative(outer, inner));
  if (!within(backups, keys) && !within(keys, backups)) return;
  throw new UsageError(`The keys (${vault}) would be in the same place as the backups (${store}): a thief who takes one has both.`, {
    fix: 'Give the keys a folder of their own, on another disk if you can.',
  });
}

/** @throws UsageError for a file that is not there or is no public key */
function checkEscrow(folder: string, file: string): void {
  let text: string;
  try {
    text = readFileSync(resolve(folder, file), 'utf8');
  } catch (cause) {
    throw new UsageError(
      `The escrow public key ${file} cannot be read${(cause as { code?: unknown }).code === 'ENOENT' ? ': there is no such file' : ''}.`,
      {
        fix: `Make the pair first: ${ESCROW_COMMANDS.join(' && ')}`,
        cause,
      },
    );
  }
  if (text.includes('PRIVATE KEY')) {
    throw new UsageError(`${file} holds the private half of a key. It must never be where backups are made.`, {
      fix: `Give the public half: openssl pkey -in ${shellWord(file)} -pubout -out escrow-public.pem`,
    });
  }
  try {
    createPublicKey(text);
  } catch (cause) {
    throw new UsageError(`${file} is not a public key (PEM).`, { fix: `Make the pair: ${ESCROW_COMMANDS.join(' && ')}`, cause });
  }
}

/** What options name must be there. @throws UsageError */
function refuseMissing(folder: string, { folder: named, escrow }: Inputs, host: Host): void {
  if (named !== undefined && !existsSync(folder)) {
    throw new UsageError(`${host.spell('folder')} is ${JSON.stringify(named)}: there is no such folder.`, {
      fix: 'Create it first, or correct the path. Without the option the files are written to the working folder.',
    });
  }
  if (escrow !== undefined) checkEscrow(folder, escrow);
}

/** The files that are written whatever is answered. */
function askedFor({ github, azure }: Inputs): InitFile[] {
  const paths = ['dr.yml', ...(github === true ? [WORKFLOW_PATH] : []), ...(azure === true ? [PIPELINE_PATH] : [])];
  return paths.map((path) => ({ path, content: '' }));
}

/** A text as a name that dr.yml takes; undefined when nothing of it is left. */
function slug(text: string): string | undefined {
  const name = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
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

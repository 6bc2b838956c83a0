// The kubeconfig: found and merged as kubectl does it, what @kubernetes/client-node leaves out put in, every mistake told by its name.
import type { KubeConfig } from '@kubernetes/client-node';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import { errorMessage, UsageError, UserError } from '../step/errors.ts';
import type { ClusterAccess } from './access.ts';

/** What to do where no one is logged in. */
export const LOG_IN =
  'Log in to the cluster first: azure/aks-set-context on GitHub, Kubernetes@1 with command login on Azure, az aks get-credentials at a terminal.';

/** Where Kubernetes puts the token of a pod's service account. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * The kubeconfig with its context chosen.
 * @throws UsageError for one that cannot be read or has no such context; UserError when there is none at all
 */
export async function loadKubeconfig(access: ClusterAccess, env: NodeJS.ProcessEnv = process.env): Promise<KubeConfig> {
  // A megabyte of code that only few runs need.
  const { KubeConfig: Config } = await import('@kubernetes/client-node');
  const merged = new Config();
  const files = filesOf(access, env).filter(({ text }) => text !== undefined);
  for (const { path, text = '' } of files) mergeFirstWins(merged, await readOne(new Config(), path, text));
  if (files.length === 0) {
    if (access.kubeconfig !== undefined || fileText(SERVICE_ACCOUNT_TOKEN) === undefined || !env['KUBERNETES_SERVICE_HOST']) {
      throw new UserError(`There is no kubeconfig${access.kubeconfig === undefined ? '' : ` at ${access.kubeconfig}`}.`, { fix: LOG_IN });
    }
    merged.loadFromCluster();
  }
  choose(merged, access.context, files.map(({ path }) => path).join(delimiter));
  return merged;
}

interface ConfigFile {
  path: string;
  /** Undefined when there is no such file: kubectl passes over those of KUBECONFIG, too. */
  text: string | undefined;
}

function filesOf({ kubeconfig }: ClusterAccess, env: NodeJS.ProcessEnv): ConfigFile[] {
  const listed = kubeconfig === undefined ? (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '') : [kubeconfig];
  const paths = listed.length > 0 ? listed : [join(homedir(), '.kube', 'config')];
  return paths.map((path) => ({ path, text: fileText(path) }));
}

function fileText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`The kubeconfig ${path} cannot be read: ${errorMessage(cause)}.`, {
      cause,
      fix: 'Let this user read it, or name another one.',
    });
  }
}

/** A user of a kubeconfig as it is written. */
interface WrittenUser {
  name?: string;
  user?: { tokenFile?: string; 'as-uid'?: unknown; 'as-groups'?: unknown; 'as-user-extra'?: unknown } | null;
}

async function readOne(config: KubeConfig, path: string, text: string): Promise<KubeConfig> {
  let written: { users?: WrittenUser[] | null } | null;
  try {
    written = parse(text) as typeof written;
    if (written === null) return config;
    config.loadFromString(text);
  } catch (cause) {
    throw new UsageError(`The kubeconfig ${path} is not right: ${errorMessage(cause).split('\n')[0] ?? ''}.`, { cause, fix: LOG_IN });
  }
  config.makePathsAbsolute(dirname(path));
  for (const user of written.users ?? []) mend(config, user, dirname(path));
  return config;
}

/** What kubectl reads and client-node 2.0.1 does not. */
function mend(config: KubeConfig, { name = '', user: written }: WrittenUser, folder: string): void {
  const user: MutableUser | undefined = config.users.find((one) => one.name === name);
  if (!user || !written) return;
  user.unheeded = (['as-groups', 'as-uid', 'as-user-extra'] as const).find((field) => written[field] !== undefined);
  if (written.tokenFile !== undefined) {
    const tokenFile = isAbsolute(written.tokenFile) ? written.tokenFile : join(folder, written.tokenFile);
    user.authProvider = { name: 'tokenFile', config: { tokenFile } };
  }
  const exec = user.exec;
  if (exec?.command !== undefined && /[/\\]/.test(exec.command) && !isAbsolute(exec.command)) {
    exec.command = join(folder, exec.command);
  }
}

interface MutableUser {
  name: string;
  authProvider?: unknown;
  exec?: ExecPlugin | null;
  /** A field that changes who asks, and that has no effect here. */
  unheeded?: string | undefined;
}

/** `users[].user.exec` */
interface ExecPlugin {
  apiVersion?: string;
  command?: string;
  env?: { name: string; value: string }[] | null;
  provideClusterInfo?: boolean;
}

/** The program that makes the current user's login; undefined when it needs none. */
export function execPlugin(config: KubeConfig): string | undefined {
  const user: MutableUser | null = config.getCurrentUser();
  return user?.exec?.command;
}

/** Of what has the same name in several files, kubectl takes the first. */
function mergeFirstWins(into: KubeConfig, other: KubeConfig): void {
  if (!into.currentContext) into.currentContext = other.currentContext;
  const fresh = <T extends { name: string }>(known: readonly T[], more: readonly T[]): T[] =>
    more.filter(({ name }) => !known.some((one) => one.name === name));
  into.clusters.push(...fresh(into.clusters, other.clusters));
  into.users.push(...fresh(into.users, other.users));
  into.contexts.push(...fresh(into.contexts, other.contexts));
}

function choose(config: KubeConfig, wanted: string | undefined, where: string): void {
  const name = wanted ?? config.currentContext;
  const names = config.contexts.map((context) => context.name).join(', ');
  if (!name)
    throw new UsageError(`The kubeconfig ${where} has no current context.`, { fix: `Name one: it has ${names || 'none'}. ${LOG_IN}` });
  config.setCurrentContext(name);
  if (config.getContextObject(name) === null) {
    throw new UsageError(`The context "${name}" does not exist in the kubeconfig ${where}.`, {
      fix: `It has ${names || 'none'}. ${LOG_IN}`,
    });
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new UsageError(`The context "${name}" of the kubeconfig ${where} names a cluster that is not in it.`, { fix: LOG_IN });
  }
  const user: MutableUser | null = config.getCurrentUser();
  if (user?.unheeded !== undefined) {
    throw new UsageError(`User ${user.name} of the kubeconfig ${where} has ${user.unheeded}, which is not supported.`, {
      fix: 'Use a login that has its rights by itself.',
    });
  }
  if (user?.exec) tellPlugin(user.exec, cluster);
}

/** An exec plugin asks this variable how it was started: client-go sets it always, client-node never. */
function tellPlugin(exec: ExecPlugin, { server, caData }: { server: string; caData?: string }): void {
  const about = { server, ...(caData === undefined ? {} : { 'certificate-authority-data': caData }) };
  const spec = { interactive: false, ...(exec.provideClusterInfo ? { cluster: about } : {}) };
  const value = JSON.stringify({ apiVersion: exec.apiVersion, kind: 'ExecCredential', spec });
  exec.env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value }];
}

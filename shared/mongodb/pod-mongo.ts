// A MongoDB inside a cluster, reached through its API server: which pod, which login, and how its own mongodump and mongorestore are started.
import { Secret } from '../step/input.ts';
import { NoProgramError } from '../kubernetes/exec.ts';
import { ClusterNamespace, programFailure, type Printed } from '../kubernetes/namespace.ts';
import { findContainers, type PodContainer } from '../kubernetes/pods.ts';
import { isOneLocalHost, redactUri, withoutPassword } from './connection-string.ts';
import { helloOf } from './pod-shell.ts';
import type { ToolProgram } from './tool-program.ts';

/** How a user says which MongoDB is meant. */
export interface PodAddress {
  kubeconfig?: string | undefined;
  context?: string | undefined;
  namespace: string;
  /** One of these two. */
  pod?: string | undefined;
  selector?: string | undefined;
  container?: string | undefined;
  /** As seen from inside the pod. Without it: localhost, with the login that the pod's environment holds. */
  uri?: Secret | undefined;
}

export interface PodOptions {
  address: PodAddress;
  /** Told every secret that is found in the pod, before anything can print it. */
  mask: (secret: string) => void;
  /** How the caller's user writes an input, for what an error tells to do. */
  spell?: ((input: PodInput) => string) | undefined;
  signal?: AbortSignal | undefined;
  log?: ((line: string) => void) | undefined;
}

export type PodInput = 'kubernetesContainer' | 'kubernetesSelector' | 'kubernetesNamespace' | 'kubernetesPod' | 'mongodbUri';

/** A container with a MongoDB, and how to log in there. */
export interface PodMongo {
  namespace: ClusterNamespace;
  container: PodContainer;
  /** As seen from inside the pod. */
  uri: Secret;
  /** Identity of the deployment, without credentials: `kubernetes:aks-prod/db/app=mongodb`. */
  fingerprint: string;
}

/**
 * Finds the pod, the container and the login.
 * @param role which member of a replica set to take, where several pods fit: `primary` to write, `secondary` to read
 * @throws UserError when the cluster or the pods say no
 */
export async function openPodMongo(options: PodOptions, role: 'primary' | 'secondary'): Promise<PodMongo> {
  const { address, spell = (input: PodInput): string => input, signal } = options;
  const { kubeconfig, context, pod, selector } = address;
  const namespace = await ClusterNamespace.open({ kubeconfig, context, namespace: address.namespace }, signal);
  const spelled = { container: 'kubernetesContainer', selector: 'kubernetesSelector', namespace: 'kubernetesNamespace' } as const;
  const containers = await findContainers(namespace, address, (input) => spell(spelled[input]), signal);
  const uri = address.uri ?? (await uriOfPod(namespace, containers[0], options));
  const container = containers.length > 1 && isOneLocalHost(uri) ? await member(namespace, containers, uri, role, options) : containers[0];
  options.log?.(`Working in container ${container.container} of pod ${container.pod} in namespace ${namespace.name}.`);
  return {
    namespace,
    container,
    uri,
    fingerprint: `kubernetes:${context === undefined ? '' : `${context}/`}${namespace.name}/${pod ?? selector ?? ''}`,
  };
}

/** The pod's own mongodump or mongorestore. The password goes to it as the first line of its standard input, and nowhere else. */
export function podProgram(name: 'mongodump' | 'mongorestore', { namespace, container, uri }: PodMongo): ToolProgram {
  const { uri: visible, password } = withoutPassword(uri);
  // mongodump reads a line: the password.
  const stdin = name === 'mongorestore' ? 'ends' : password === undefined ? undefined : 'open';
  return {
    label: `${name} in pod ${container.pod}`,
    start: (args, options) => {
      const command = [name, `--uri=${visible}`, ...args];
      const child = namespace.exec({ ...container, command, stdin }, options);
      if (password !== undefined) child.stdin.write(`${password}\n`);
      const ended = child.ended.catch((thrown: unknown) => {
        throw thrown instanceof NoProgramError ? new NoProgramError(thrown.message, { fix: NO_TOOLS, cause: thrown }) : thrown;
      });
      ended.catch(() => undefined);
      return Promise.resolve({ ...child, ended, release: () => Promise.resolve() });
    },
    redact: (line) => redactUri(line, uri),
    fix: (_words, code) => fixOfCode(code, namespace, container),
  };
}

/** What an exit code alone tells. */
function fixOfCode(code: number | null, { name }: ClusterNamespace, { pod }: PodContainer): string | undefined {
  if (code === 0) return 'Kubernetes loses a stream now and then and calls it a success: run again.';
  // 128 + SIGKILL, 128 + SIGTERM.
  if (code !== 137 && code !== 143) return undefined;
  return `It was killed in the pod: look for OOMKilled (its memory limit) or an eviction with kubectl describe pod ${pod} --namespace ${name}`;
}

/** The version of a tool in the pod; undefined when it is not there. */
export async function podToolVersion({ namespace, container }: PodMongo, name: string, signal?: AbortSignal): Promise<string | undefined> {
  const { code, stdout } = await namespace.run({ ...container, command: [name, '--version'] }, signal).catch(absent);
  return code === 0 ? /\bv?(\d+\.\d+\.\d+[\w.-]*)/.exec(stdout)?.[1] : undefined;
}

/** What to do about a container without the tools. */
export const NO_TOOLS =
  'The container does not have that program: choose one that has the MongoDB Database Tools (mongo and bitnami/mongodb images do), or add one to the pod.';

/** Where the official image (MONGO_INITDB_…) and Bitnami's (MONGODB_…) keep the root login; each also as the name of a file with `_FILE`. */
const LOGINS = [
  { user: 'MONGODB_ROOT_USER', password: 'MONGODB_ROOT_PASSWORD' },
  { user: 'MONGO_INITDB_ROOT_USERNAME', password: 'MONGO_INITDB_ROOT_PASSWORD' },
];

async function uriOfPod(namespace: ClusterNamespace, container: PodContainer, { mask, signal, log }: PodOptions): Promise<Secret> {
  const env = await environmentOf(namespace, container, signal);
  const value = async (name: string): Promise<string | undefined> => {
    const file = env.get(`${name}_FILE`);
    if (env.has(name) || file === undefined) return env.get(name);
    const printed = await namespace.run({ ...container, command: ['cat', file] }, signal);
    if (printed.code !== 0) throw programFailure(printed, `Reading ${file} in pod ${container.pod} failed`);
    return printed.stdout.replace(/\r?\n$/, '');
  };
  const host = `localhost:${env.get('MONGODB_PORT_NUMBER') ?? '27017'}`;
  for (const names of LOGINS) {
    const password = await value(names.password);
    if (password === undefined || password === '') continue;
    mask(password);
    mask(encodeURIComponent(password));
    const user = (await value(names.user)) ?? 'root';
    log?.(`Logging in as ${user}, with the password of the pod's ${names.password}.`);
    return new Secret(`mongodb://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}/?authSource=admin`);
  }
  log?.("The pod's environment holds no login; connecting without one.");
  return new Secret(`mongodb://${host}/`);
}

/** The container's environment. A container without the program `env` has none that could be read. */
async function environmentOf(
  namespace: ClusterNamespace,
  container: PodContainer,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const printed = await namespace.run({ ...container, command: ['env'] }, signal).catch(absent);
  if (printed.code !== 0 && printed.code !== null) throw programFailure(printed, `Running a program in pod ${container.pod} failed`);
  return new Map([...printed.stdout.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
}

/** What a program that is not there prints. */
function absent(thrown: unknown): Printed {
  if (thrown instanceof NoProgramError) return { code: null, stdout: '', lines: [] };
  throw thrown;
}

/** A member that is kept behind on purpose (`secondaryDelaySecs`, before 5.0 `slaveDelay`) has the data of yesterday. */
function isWanted(hello: Record<string, unknown>, role: 'primary' | 'secondary'): boolean {
  if (role === 'primary') return hello['isWritablePrimary'] === true;
  return hello['secondary'] === true && Number(hello['secondaryDelaySecs'] ?? hello['slaveDelay'] ?? 0) === 0;
}

/** The member of the replica set that is wanted, as far as a mongo shell in the pods can tell; else the first. */
async function member(
  namespace: ClusterNamespace,
  containers: readonly [PodContainer, ...PodContainer[]],
  uri: Secret,
  role: 'primary' | 'secondary',
  { signal, log }: PodOptions,
): Promise<PodContainer> {
  for (const container of containers) {
    const hello = await helloOf({ namespace, container, uri }, signal);
    if (hello !== undefined && isWanted(hello, role)) return container;
  }
  log?.(`Which of ${containers.length} pods is the ${role} cannot be told; taking the first.`);
  return containers[0];
}

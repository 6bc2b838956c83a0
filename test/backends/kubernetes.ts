// A real Kubernetes API server on etcd, with a kubelet of ours whose containers are local processes: `kubectl exec` really runs a program.
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { apiOf, startApiServer, startControllers, startEtcd, writeIdentity, type Api, type Identity } from './kubernetes-parts.ts';
import type { Tool } from './pipeline-tools.ts';
import {
  cachedBuild,
  contentKey,
  findProgram,
  freePort,
  portOpen,
  runGo,
  startProcess,
  tempFolder,
  type RunningProcess,
} from './support.ts';

const MODULE = fileURLToPath(new URL('kubernetes/', import.meta.url));
const VERSION = 'v1.36.3';
/** Raised together with the build command below. */
const BUILD_REVISION = '2';
/** The user of the context `limited`: may do what RBAC objects allow. */
export const LIMITED_USER = 'backup-ci';
const NODE = 'node-0';

/** A container in the cluster. */
export interface TestPod {
  namespace: string;
  name: string;
  labels?: Record<string, string>;
  /** Default: one, `mongodb`. */
  containers?: string[];
  /** Name in the container → full path of a program of this machine. `/usr/bin` and `/bin` are there as well. */
  programs?: Record<string, string>;
  environment?: Record<string, string>;
  /** Default true. */
  ready?: boolean;
}

export interface Kubernetes {
  /** Set KUBECONFIG to it. Contexts: `admin` (the current one) and `limited`. */
  kubeconfig: string;
  /** `https://127.0.0.1:<port>` */
  server: string;
  /** The certificate that is everything here, and its key, in PEM: for a webhook's server, which the API server must trust. */
  pem: Identity['pem'];
  /** A value for PATH under which this cluster's own kubectl and helm come first. */
  path: string;
  api: Api;
  /** Makes a namespace (when it is not there) and a pod that runs. @returns the pod's folder */
  addPod(pod: TestPod): Promise<string>;
  /** Puts programs and an environment where a pod of this name finds them: for pods that controllers make. @returns the pod's folder */
  equipPod(pod: Pick<TestPod, 'namespace' | 'name' | 'programs' | 'environment'>): string;
  /** Puts a file into the pod, beside which its programs run. */
  addFile(pod: Pick<TestPod, 'namespace' | 'name'>, name: string, content: string): void;
  /** From now on what programs in the pod print ends after so many bytes, with exit code 0; undefined ends that. */
  cutOutput(pod: Pick<TestPod, 'namespace' | 'name'>, bytes: number | undefined): void;
  /** Ends the kubelet in the midst of whatever it does, and starts it again. */
  restartKubelet(): Promise<void>;
  /** Ends the API server in the midst of whatever it does. What it had stored stays. */
  killApiServer(): Promise<void>;
  /** Starts it again at the same address, and waits until it is ready. */
  startApiServer(): Promise<void>;
  stop(): Promise<void>;
}

export interface KubernetesOptions {
  /**
   * With the controller manager, the scheduler and KWOK: Deployments get pods that run, namespaces go away, accounts are made. Three seconds
   * and 0.3 GB more. Without: only what is stored, and pods by `addPod`.
   */
  controllers?: boolean;
}

/** The program most parts are in (helm and kwok lie beside it), or why this machine cannot have it. The build takes four to seven minutes, once. */
export async function kubernetesProgram(): Promise<Tool> {
  const go = findProgram('go');
  if (go === undefined) return { missing: 'needs Go to build the Kubernetes API server' };
  if (process.platform === 'win32') return { missing: 'needs a Unix for the containers' };
  const files = readdirSync(MODULE).sort();
  const key = contentKey(BUILD_REVISION, ...files.map((file) => readFileSync(join(MODULE, file))));
  try {
    return { program: join(await cachedBuild('kubernetes', key, (folder) => build(go, folder)), 'bin', 'cluster') };
  } catch (thrown) {
    return {
      missing: `needs Kubernetes, which could not be built: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`,
    };
  }
}

async function build(go: string, folder: string): Promise<void> {
  const source = join(folder, 'source');
  cpSync(MODULE, source, { recursive: true });
  const env = { GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOFLAGS: '-p=2 -buildvcs=false -mod=readonly', GOWORK: 'off' };
  // kubectl and the API server compare versions; a build without them says v0.0.0.
  const [major, minor] = VERSION.slice(1).split('.') as [string, string];
  const stamps = { gitVersion: VERSION, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(stamps).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  const built = ['.', 'helm.sh/helm/v3/cmd/helm', 'sigs.k8s.io/kwok/cmd/kwok'];
  await runGo(['build', '-trimpath', '-ldflags', ['-s', '-w', ...flags].join(' '), '-o', '../bin/', ...built], { go, cwd: source, env });
  renameSync(join(folder, 'bin', 'kubernetes'), join(folder, 'bin', 'cluster'));
  const kwok = (await runGo(['list', '-m', '-f', '{{.Dir}}', 'sigs.k8s.io/kwok'], { go, cwd: source, env })).trim();
  mkdirSync(join(folder, 'stages'));
  for (const stage of ['node/fast', 'node/heartbeat-with-lease', 'pod/fast']) {
    const from = join(kwok, 'kustomize', 'stage', stage);
    for (const file of readdirSync(from).filter((name) => /^(node|pod)-.*\.yaml$/.test(name)))
      cpSync(join(from, file), join(folder, 'stages', file));
  }
  rmSync(source, { recursive: true, force: true });
}

/** Starts a cluster from nothing: about four seconds and 0.5 GB of memory. */
export async function startKubernetes(program: string, { controllers = false }: KubernetesOptions = {}): Promise<Kubernetes> {
  const folder = tempFolder('kubernetes');
  const pods = join(folder, 'pods');
  const parts: Record<'kubelet' | 'apiServer', RunningProcess | undefined> = { kubelet: undefined, apiServer: undefined };
  const others: RunningProcess[] = [];
  let etcd: Awaited<ReturnType<typeof startEtcd>> | undefined;
  const stop = async (): Promise<void> => {
    // The API server hangs when etcd goes first.
    await Promise.all(others.map((part) => part.stop(0)));
    await parts.kubelet?.stop(0);
    await parts.apiServer?.stop(5000);
    await etcd?.process.stop(5000);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const identity = await writeIdentity(folder);
    const [port, kubeletPort] = [await freePort(), await freePort()];
    const kubelet = [
      'kubelet',
      '--address',
      `127.0.0.1:${kubeletPort}`,
      '--cert',
      identity.certificate,
      '--key',
      identity.key,
      '--root',
      pods,
    ];
    const startKubelet = async (): Promise<void> => {
      parts.kubelet = await startProcess(program, kubelet, { ready: () => portOpen(kubeletPort) });
    };
    etcd = await startEtcd(program, folder);
    const { url } = etcd;
    const startServer = async (): Promise<void> => {
      parts.apiServer = await startApiServer(program, { etcd: url, port, identity, controllers });
    };
    await Promise.all([startKubelet(), startServer()]);
    const server = `https://127.0.0.1:${port}`;
    const api = apiOf(server, identity.pem);
    await api('POST', '/api/v1/nodes', nodeAt(kubeletPort));
    const kubeconfig = writeKubeconfig(folder, server, identity);
    const stages = join(dirname(program), '..', 'stages');
    if (controllers) others.push(...(await startControllers(program, { kubeconfig, api, identity, kubeletPort, stages })));
    return {
      kubeconfig,
      server,
      pem: identity.pem,
      path: `${writeTools(folder, program)}${delimiter}${process.env['PATH'] ?? ''}`,
      api,
      equipPod: (pod) => equipPod(pods, pod),
      addPod: async (pod) => {
        const own = equipPod(pods, pod);
        await addPod(api, pod, controllers);
        return own;
      },
      addFile: ({ namespace, name }, file, content) => {
        writeFileSync(join(pods, namespace, name, file), content, { mode: 0o600 });
      },
      cutOutput: ({ namespace, name }, bytes) => {
        const file = join(pods, namespace, name, '.cut');
        if (bytes === undefined) rmSync(file, { force: true });
        else writeFileSync(file, String(bytes));
      },
      restartKubelet: async () => {
        await parts.kubelet?.stop(0);
        await startKubelet();
      },
      killApiServer: async () => {
        parts.apiServer?.child.kill('SIGKILL');
        await parts.apiServer?.stop(0);
      },
      startApiServer: startServer,
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

function nodeAt(kubeletPort: number): object {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: NODE },
    status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }], daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } },
  };
}

function writeKubeconfig(folder: string, server: string, files: Identity): string {
  const file = join(folder, 'kubeconfig');
  const login = { 'client-certificate': files.certificate, 'client-key': files.key };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': files.certificate } }],
    users: [
      { name: 'admin', user: login },
      { name: 'limited', user: { ...login, as: LIMITED_USER } },
    ],
    contexts: ['admin', 'limited'].map((name) => ({ name, context: { cluster: 'test', user: name } })),
    'current-context': 'admin',
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

function writeTools(folder: string, program: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeProgram(join(bin, 'kubectl'), program, 'kubectl');
  writeProgram(join(bin, 'helm'), join(dirname(program), 'helm'));
  return bin;
}

/** Not a link: some programs look beside their own name. */
function writeProgram(file: string, program: string, ...args: string[]): void {
  writeFileSync(file, `#!/bin/sh\nexec '${program}' ${args.join(' ')} "$@"\n`);
  chmodSync(file, 0o755);
}

function equipPod(root: string, { namespace, name, programs = {}, environment = {} }: TestPod): string {
  const folder = join(root, namespace, name);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  for (const [program, path] of Object.entries(programs)) writeProgram(join(folder, 'bin', program), path);
  const lines = Object.entries(environment).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(join(folder, '.env'), lines.join(''));
  return folder;
}

async function addPod(api: Api, pod: TestPod, controllers: boolean): Promise<void> {
  const { namespace, name, labels = {}, containers = ['mongodb'], ready = true } = pod;
  await api('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }).catch(
    (thrown: unknown) => {
      if (!(thrown instanceof Error && thrown.message.includes('AlreadyExists'))) throw thrown;
    },
  );
  // A pod is refused as long as its namespace has no default account.
  if (controllers) await eventually(() => api('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`));
  const path = `/api/v1/namespaces/${namespace}/pods`;
  await api('POST', path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { nodeName: NODE, containers: containers.map((container) => ({ name: container, image: 'mongo:8' })) },
  });
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] };
  await api('PATCH', `${path}/${name}/status`, { status });
}

/** Tries until it goes, for ten seconds at most. @throws what the last attempt throws */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (thrown) {
      if (tries >= 100) throw thrown;
      await delay(100);
    }
  }
}

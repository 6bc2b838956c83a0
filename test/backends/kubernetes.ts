// A real Kubernetes API server on etcd, with a kubelet of ours whose containers are local processes: `kubectl exec` really runs a program.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generate } from 'selfsigned';
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
const BUILD_REVISION = '1';
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
  /** A value for PATH under which this cluster's own kubectl comes first. */
  path: string;
  /** Calls the API server as administrator; throws with its answer when it says no. */
  api(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** Makes a namespace (when it is not there) and a pod that runs. @returns the pod's folder */
  addPod(pod: TestPod): Promise<string>;
  /** Puts a file into the pod, beside which its programs run. */
  addFile(pod: Pick<TestPod, 'namespace' | 'name'>, name: string, content: string): void;
  /** From now on what programs in the pod print ends after so many bytes, with exit code 0; undefined ends that. */
  cutOutput(pod: Pick<TestPod, 'namespace' | 'name'>, bytes: number | undefined): void;
  /** Ends the kubelet in the midst of whatever it does, and starts it again. */
  restartKubelet(): Promise<void>;
  stop(): Promise<void>;
}

/** The one program all parts are in, or why this machine cannot have it. The build takes four to seven minutes, once. */
export async function kubernetesProgram(): Promise<Tool> {
  const go = findProgram('go');
  if (go === undefined) return { missing: 'needs Go to build the Kubernetes API server' };
  if (process.platform === 'win32') return { missing: 'needs a Unix for the containers' };
  const files = readdirSync(MODULE).sort();
  const key = contentKey(BUILD_REVISION, ...files.map((file) => readFileSync(join(MODULE, file))));
  try {
    return { program: join(await cachedBuild('kubernetes', key, (folder) => build(go, folder)), 'cluster') };
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
  await runGo(['build', '-trimpath', '-ldflags', ['-s', '-w', ...flags].join(' '), '-o', '../cluster.new', '.'], { go, cwd: source, env });
  renameSync(join(folder, 'cluster.new'), join(folder, 'cluster'));
  rmSync(source, { recursive: true, force: true });
}

/** Starts a cluster from nothing: about four seconds and 0.5 GB of memory. */
export async function startKubernetes(program: string): Promise<Kubernetes> {
  const folder = tempFolder('kubernetes');
  const pods = join(folder, 'pods');
  const running: RunningProcess[] = [];
  let kubelet: RunningProcess | undefined;
  const stop = async (): Promise<void> => {
    await kubelet?.stop(0);
    // The API server hangs when etcd goes first.
    for (const part of running.toReversed()) await part.stop(5000);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const files = await writeIdentity(folder);
    const etcd = await startEtcd(program, folder);
    running.push(etcd.process);
    const kubeletPort = await freePort();
    const startKubelet = (): Promise<RunningProcess> =>
      startProcess(
        program,
        ['kubelet', '--address', `127.0.0.1:${kubeletPort}`, '--cert', files.certificate, '--key', files.key, '--root', pods],
        { ready: () => portOpen(kubeletPort) },
      );
    kubelet = await startKubelet();
    const server = await startApiServer(program, etcd.url, files);
    running.push(server.process);
    const { api } = server;
    await api('POST', '/api/v1/nodes', nodeAt(kubeletPort));
    return {
      kubeconfig: writeKubeconfig(folder, server.url, files),
      path: `${writeKubectl(folder, program)}${delimiter}${process.env['PATH'] ?? ''}`,
      api,
      addPod: (pod) => addPod(api, pods, pod),
      addFile: ({ namespace, name }, file, content) => {
        writeFileSync(join(pods, namespace, name, file), content, { mode: 0o600 });
      },
      cutOutput: ({ namespace, name }, bytes) => {
        const file = join(pods, namespace, name, '.cut');
        if (bytes === undefined) rmSync(file, { force: true });
        else writeFileSync(file, String(bytes));
      },
      restartKubelet: async () => {
        await kubelet?.stop(0);
        kubelet = await startKubelet();
      },
      stop,
    };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

interface Identity {
  certificate: string;
  key: string;
  pem: { certificate: string; key: string };
  tokenKey: string;
  tokenPublicKey: string;
}

/** One certificate is everything: the authority, every server's, and the administrator's. */
async function writeIdentity(folder: string): Promise<Identity> {
  const name = [
    { name: 'organizationName', value: 'system:masters' },
    { name: 'commonName', value: `administrator ${randomBytes(4).toString('hex')}` },
  ];
  const { cert, private: key } = await generate(name, {
    keySize: 2048,
    notAfterDate: new Date(Date.now() + 7 * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  const tokens = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const write = (file: string, text: string): string => {
    writeFileSync(join(folder, file), text, { mode: 0o600 });
    return join(folder, file);
  };
  return {
    certificate: write('cert.pem', cert),
    key: write('key.pem', key),
    pem: { certificate: cert, key },
    tokenKey: write('token-key.pem', tokens.privateKey),
    tokenPublicKey: write('token-public-key.pem', tokens.publicKey),
  };
}

async function startEtcd(program: string, folder: string): Promise<{ process: RunningProcess; url: string }> {
  const [client, peer] = [await freePort(), await freePort()];
  const [url, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const args = ['etcd', '--name=etcd-0', `--data-dir=${join(folder, 'etcd')}`, '--unsafe-no-fsync', '--log-level=error'];
  const addresses = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`, `--listen-peer-urls=${peerUrl}`];
  const cluster = [`--initial-advertise-peer-urls=${peerUrl}`, `--initial-cluster=etcd-0=${peerUrl}`];
  return { process: await startProcess(program, [...args, ...addresses, ...cluster], { ready: () => portOpen(client) }), url };
}

async function startApiServer(
  program: string,
  etcd: string,
  files: Identity,
): Promise<{ process: RunningProcess; url: string; api: Kubernetes['api'] }> {
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const api = apiOf(url, files.pem);
  const process = await startProcess(
    program,
    [
      'apiserver',
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${files.certificate}`,
      `--tls-private-key-file=${files.key}`,
      `--client-ca-file=${files.certificate}`,
      `--kubelet-client-certificate=${files.certificate}`,
      `--kubelet-client-key=${files.key}`,
      `--kubelet-certificate-authority=${files.certificate}`,
      `--service-account-key-file=${files.tokenPublicKey}`,
      `--service-account-signing-key-file=${files.tokenKey}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--endpoint-reconciler-type=none',
      '--authorization-mode=RBAC',
      // Nobody makes the accounts' tokens here: there is no controller manager.
      '--disable-admission-plugins=ServiceAccount',
    ],
    {
      ready: () =>
        api('GET', '/readyz').then(
          () => true,
          () => false,
        ),
    },
  );
  return { process, url, api };
}

function apiOf(url: string, { certificate, key }: Identity['pem']): Kubernetes['api'] {
  const agent = new Agent({ ca: certificate, cert: certificate, key });
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const call = request(`${url}${path}`, { method, agent, headers: { 'content-type': 'application/json' } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => {
          const good = (response.statusCode ?? 500) < 300;
          if (good) resolve(text.startsWith('{') ? JSON.parse(text) : text);
          else reject(new Error(`${method} ${path}: ${response.statusCode ?? '?'} ${text}`));
        });
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
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

function writeKubectl(folder: string, program: string): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeProgram(join(bin, 'kubectl'), program, 'kubectl');
  return bin;
}

/** Not a link: some programs look beside their own name. */
function writeProgram(file: string, program: string, ...args: string[]): void {
  writeFileSync(file, `#!/bin/sh\nexec '${program}' ${args.join(' ')} "$@"\n`);
  chmodSync(file, 0o755);
}

async function addPod(api: Kubernetes['api'], root: string, pod: TestPod): Promise<string> {
  const { namespace, name, labels = {}, containers = ['mongodb'], programs = {}, environment = {}, ready = true } = pod;
  await api('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }).catch(
    (thrown: unknown) => {
      if (!(thrown instanceof Error && thrown.message.includes('AlreadyExists'))) throw thrown;
    },
  );
  const folder = join(root, namespace, name);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  for (const [program, path] of Object.entries(programs)) writeProgram(join(folder, 'bin', program), path);
  const lines = Object.entries(environment).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(join(folder, '.env'), lines.join(''));
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const made = (await api('POST', path, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { nodeName: NODE, containers: containers.map((container) => ({ name: container, image: 'mongo:8' })) },
  })) as object;
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] };
  await api('PUT', `${path}/${name}/status`, { ...made, status });
  return folder;
}

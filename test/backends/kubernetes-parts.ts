// The parts of the Kubernetes for tests, each started as its own process.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { dirname, join } from 'node:path';
import { generate } from 'selfsigned';
import { freePort, portOpen, startProcess, type RunningProcess } from './support.ts';

/** Calls the API server as administrator, or in the name of another user; PATCH is a merge patch. Throws with its answer when it says no. */
export type Api = (method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object, as?: string) => Promise<unknown>;

/** Files of one certificate that is everything, and of the key for tokens. */
export interface Identity {
  certificate: string;
  key: string;
  pem: { certificate: string; key: string };
  tokenKey: string;
  tokenPublicKey: string;
}

/** One certificate is everything: the authority, every server's, and the administrator's. */
export async function writeIdentity(folder: string): Promise<Identity> {
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

export async function startEtcd(program: string, folder: string): Promise<{ process: RunningProcess; url: string }> {
  const [client, peer] = [await freePort(), await freePort()];
  const [url, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  const args = ['etcd', '--name=etcd-0', `--data-dir=${join(folder, 'etcd')}`, '--unsafe-no-fsync', '--log-level=error'];
  const addresses = [`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`, `--listen-peer-urls=${peerUrl}`];
  const cluster = [`--initial-advertise-peer-urls=${peerUrl}`, `--initial-cluster=etcd-0=${peerUrl}`];
  return { process: await startProcess(program, [...args, ...addresses, ...cluster], { ready: () => portOpen(client) }), url };
}

export interface ApiServerOptions {
  etcd: string;
  port: number;
  identity: Identity;
  /** Is there a controller manager, which makes accounts? */
  controllers: boolean;
}

export async function startApiServer(program: string, { etcd, port, identity, controllers }: ApiServerOptions): Promise<RunningProcess> {
  const api = apiOf(`https://127.0.0.1:${port}`, identity.pem);
  return startProcess(
    program,
    [
      'apiserver',
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${identity.certificate}`,
      `--tls-private-key-file=${identity.key}`,
      `--client-ca-file=${identity.certificate}`,
      `--kubelet-client-certificate=${identity.certificate}`,
      `--kubelet-client-key=${identity.key}`,
      `--kubelet-certificate-authority=${identity.certificate}`,
      `--service-account-key-file=${identity.tokenPublicKey}`,
      `--service-account-signing-key-file=${identity.tokenKey}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--endpoint-reconciler-type=none',
      '--authorization-mode=RBAC',
      ...(controllers ? [] : ['--disable-admission-plugins=ServiceAccount']),
    ],
    { ready: () => answers(api, '/readyz') },
  );
}

export interface ControllersOptions {
  kubeconfig: string;
  api: Api;
  identity: Identity;
  kubeletPort: number;
  /** Of KWOK's stages: what becomes of nodes and pods. */
  stages: string;
}

/** The controller manager, the scheduler, and KWOK, which makes every node ready and every pod run. */
export async function startControllers(program: string, options: ControllersOptions): Promise<RunningProcess[]> {
  const { kubeconfig, api, identity, kubeletPort } = options;
  const shared = [`--kubeconfig=${kubeconfig}`, '--bind-address=127.0.0.1', '--leader-elect=false'];
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  const [controllersPort, schedulerPort, kwokPort] = [await freePort(), await freePort(), await freePort()];
  const controllers = [
    'controllers',
    ...shared,
    `--secure-port=${controllersPort}`,
    `--root-ca-file=${identity.certificate}`,
    `--service-account-private-key-file=${identity.tokenKey}`,
  ];
  const stages = readdirSync(options.stages).map((file) => `--config=${join(options.stages, file)}`);
  const kwok = [
    `--kubeconfig=${kubeconfig}`,
    ...stages,
    '--manage-all-nodes=true',
    '--cidr=10.244.0.0/16',
    '--node-ip=127.0.0.1',
    `--node-port=${kubeletPort}`,
    `--server-address=127.0.0.1:${kwokPort}`,
    `--tls-cert-file=${identity.certificate}`,
    `--tls-private-key-file=${identity.key}`,
    '--node-lease-duration-seconds=40',
  ];
  return Promise.all([
    startProcess(program, controllers, { ready: () => answers(api, account) }),
    startProcess(program, ['scheduler', ...shared, `--secure-port=${schedulerPort}`], { ready: () => portOpen(schedulerPort) }),
    startProcess(join(dirname(program), 'kwok'), kwok, { ready: () => portOpen(kwokPort) }),
  ]);
}

function answers(api: Api, path: string): Promise<boolean> {
  return api('GET', path).then(
    () => true,
    () => false,
  );
}

export function apiOf(url: string, { certificate, key }: Identity['pem']): Api {
  const agent = new Agent({ ca: certificate, cert: certificate, key });
  return (method, path, body, as) =>
    new Promise((resolve, reject) => {
      const call = request(
        `${url}${path}`,
        {
          method,
          agent,
          headers: {
            'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
            ...(as === undefined ? {} : { 'impersonate-user': as }),
          },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => {
            const good = (response.statusCode ?? 500) < 300;
            if (good) resolve(text.startsWith('{') ? JSON.parse(text) : text);
            else reject(new Error(`${method} ${path}: ${response.statusCode ?? '?'} ${text}`));
          });
        },
      );
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
}

// Behind a company's proxy, from dist: every client goes through it, by the environment and by the agent's own settings.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { startConnectProxy, type ConnectProxy } from '../backends/connect-proxy.ts';
import { startHttpReceiver, type HttpReceiver } from '../backends/http-receiver.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { startSmtpReceiver, type SmtpReceiver } from '../backends/smtp-receiver.ts';
import { selfSignedCertificate, tempFolder, type Certificate } from '../backends/support.ts';
import { startVersitygw, versitygw, type Versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';
import { startOnAzure, startOnGithub, type HostResult } from './host-process.ts';

const s3Tool = await versitygw();

describeIf('program' in s3Tool, 'missing' in s3Tool ? s3Tool.missing : '')('behind a proxy', () => {
  const root = tempFolder('proxy');
  let certificate: Certificate;
  let azurite: Azurite;
  let vault: KeyVault;
  let s3: Versitygw;
  let http: HttpReceiver;
  let smtp: SmtpReceiver;
  let open: ConnectProxy;
  let closed: ConnectProxy;
  let azure: Record<string, string>;
  let container: string;

  beforeAll(async () => {
    certificate = await selfSignedCertificate(root);
    mkdirSync(join(root, 'blobs'));
    [azurite, vault, s3, http, smtp, open, closed] = await Promise.all([
      startAzurite({ folder: join(root, 'blobs'), certificate }),
      startKeyVault({ certificate }),
      startVersitygw((s3Tool as { program: string }).program),
      startHttpReceiver({ certificate }),
      startSmtpReceiver({ certificate }),
      startConnectProxy(),
      startConnectProxy({ credentials: { user: 'agent', password: 'p@ss:word' } }),
    ]);
    const { endpoint, region, accessKeyId, secretAccessKey } = s3;
    const raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    raw.destroy();
    const app = vault.issuer.registerApp();
    azure = {
      'azure-tenant-id': vault.tenantId,
      'azure-client-id': app.clientId,
      'azure-client-secret': app.clientSecret,
      'azure-authority': vault.issuer.authorityHost,
    };
    container = await azurite.createContainer('backups');
  });
  afterAll(async () => {
    await Promise.all([azurite, vault, s3, http, smtp, open, closed].map((server) => server.stop()));
    rmSync(root, { recursive: true, force: true });
  });
  beforeEach(() => {
    for (const proxy of [open, closed]) {
      proxy.asked.length = 0;
      proxy.refused = 0;
    }
  });

  const camel = (name: string): string => name.replace(/-(.)/g, (_all, letter: string) => letter.toUpperCase());
  const said = ({ outcome, errors, warnings }: HostResult): unknown => [outcome, errors, warnings];

  /** What each client does, its inputs in kebab-case, and the host that the proxy must have been asked for. */
  const CLIENTS = {
    s3: () => ({
      step: 'list-backups',
      inputs: { store: `s3://backups/x?region=${s3.region}&endpoint=${s3.endpoint}` },
      host: s3.endpoint,
    }),
    'azure-blob and sign-in': () => ({ step: 'list-backups', inputs: { store: container, ...azure }, host: azurite.accountUrl }),
    'Key Vault': () => ({ step: 'doctor', inputs: { vault: vault.url, only: 'vault-access', ...azure }, host: vault.url }),
    'a webhook': () => ({ step: 'notify', inputs: { channel: 'webhook', url: `${http.url}/hook`, outcome: 'failed' }, host: http.url }),
    'a heartbeat': () => ({ step: 'notify', inputs: { channel: 'heartbeat', url: `${http.url}/beat`, outcome: 'failed' }, host: http.url }),
    'e-mail': () => ({
      step: 'notify',
      inputs: { channel: 'email', url: `smtp://127.0.0.1:${smtp.port}`, from: 'b@example.org', to: 'o@example.org', outcome: 'failed' },
      host: `http://127.0.0.1:${smtp.port}`,
    }),
  };

  function onGithub(client: keyof typeof CLIENTS, env: Record<string, string>): Promise<HostResult> {
    const { step, inputs } = CLIENTS[client]();
    const keys = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
    return startOnGithub(`dist/github/${step}.mjs`, {
      inputs: { name: 'shop', ...(inputs as Record<string, string>) },
      env: { NODE_EXTRA_CA_CERTS: certificate.certFile, ...keys, ...env },
    }).result;
  }

  function onAzure(client: keyof typeof CLIENTS, env: Record<string, string>): Promise<HostResult> {
    const { step, inputs } = CLIENTS[client]();
    const given = Object.fromEntries(Object.entries(inputs as Record<string, string>).map(([name, value]) => [camel(name), value]));
    const keys = { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey };
    return startOnAzure(`dist/azure/${step}.mjs`, { inputs: { name: 'shop', ...given }, env: { ...keys, ...env } }).result;
  }

  describe.each(Object.keys(CLIENTS) as (keyof typeof CLIENTS)[])('%s', (client) => {
    test('goes through HTTPS_PROXY', async () => {
      expect(said(await onGithub(client, { HTTPS_PROXY: open.url }))).toEqual(['succeeded', [], []]);
      expect(open.asked).toContain(new URL(CLIENTS[client]().host).host);
    });

    test('goes past it where NO_PROXY names the host', async () => {
      expect(said(await onGithub(client, { HTTPS_PROXY: open.url, NO_PROXY: 'localhost, 127.0.0.1' }))).toEqual(['succeeded', [], []]);
      expect(open.asked).toEqual([]);
    });

    test('goes through the proxy of the Azure agent, with its password and its authority', async () => {
      const proxy = {
        AGENT_PROXYURL: closed.url.replace(/\/\/.*@/, '//'),
        AGENT_PROXYUSERNAME: 'agent',
        SECRET_AGENT_PROXYPASSWORD: 'p@ss:word',
      };
      const ran = await onAzure(client, { ...proxy, AGENT_CAINFO: certificate.certFile });
      expect(said(ran)).toEqual(['succeeded', [], []]);
      expect(closed.asked).toContain(new URL(CLIENTS[client]().host).host);
      // task-lib repeats each setting of the agent while it loads; the agent knows the secret and masks that line.
      const ours = ran.log.split('\n').filter((line) => !/^##vso\[task\.(?:setsecret|debug\]Agent\.ProxyPassword=)/.test(line));
      expect(ours.filter((line) => line.includes('p@ss:word'))).toEqual([]);
    });

    test('goes past it where the bypass list of the agent matches', async () => {
      const proxy = { AGENT_PROXYURL: open.url, AGENT_PROXYBYPASSLIST: JSON.stringify(['localhost', '127\\.0\\.0\\.1']) };
      expect(said(await onAzure(client, { ...proxy, AGENT_CAINFO: certificate.certFile }))).toEqual(['succeeded', [], []]);
      expect(open.asked).toEqual([]);
    });
  });

  test('a proxy that is none is a sentence without its password', async () => {
    const { log, outcome } = await onGithub('a webhook', { HTTPS_PROXY: 'socks5://user:hunter2-hunter2@proxy:1080' });
    expect(outcome).not.toBe('succeeded');
    expect(log).toContain('HTTPS_PROXY is not the address of a proxy.');
    expect(log).not.toContain('hunter2');
  });
});

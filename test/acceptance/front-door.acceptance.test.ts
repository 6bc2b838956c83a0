// Whatever a user can name is opened from dist/ on every host: each kind of store, vault, channel and engine, against real servers.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { CHANNEL_KINDS } from '../../shared/notify/open.ts';
import { STORE_KINDS } from '../../shared/stores/open.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { canBuildFerretDb, startFerretDb, type FerretDb } from '../backends/ferretdb.ts';
import { startHttpReceiver, type HttpReceiver } from '../backends/http-receiver.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { mongoTools } from '../backends/mongo-tools.ts';
import { startSmtpReceiver, type SmtpReceiver } from '../backends/smtp-receiver.ts';
import { sshd, startSshd, type Sshd } from '../backends/sshd.ts';
import { selfSignedCertificate, tempFolder } from '../backends/support.ts';
import { startVersitygw, versitygw, type Versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';
import { HOSTS, runBuilt, type HostName, type HostResult } from './host-process.ts';

const s3Tool = await versitygw();
const sftpTool = await sshd();
const tools = await mongoTools();
const missing = [s3Tool, sftpTool].flatMap((tool) => ('missing' in tool ? [tool.missing] : []));
if (!(await canBuildFerretDb())) missing.push('needs Go 1.24 to build FerretDB');

describeIf(missing.length === 0, missing.join(', '))('from dist', () => {
  const root = tempFolder('front-door');
  let mongo: FerretDb;
  let azurite: Azurite;
  let vault: KeyVault;
  let s3: Versitygw;
  let sftp: Sshd;
  let http: HttpReceiver;
  let smtp: SmtpReceiver;
  let env: Record<string, string>;
  let azure: Record<string, string>;
  let stores: Record<string, { address: string; inputs?: Record<string, string> }>;

  beforeAll(async () => {
    const certificate = await selfSignedCertificate(root);
    mkdirSync(join(root, 'blobs'));
    [mongo, azurite, vault, s3, sftp, http, smtp] = await Promise.all([
      startFerretDb({ auth: true }),
      startAzurite({ folder: join(root, 'blobs'), certificate }),
      startKeyVault({ certificate }),
      startVersitygw((s3Tool as { program: string }).program),
      startSshd(),
      startHttpReceiver({ certificate }),
      startSmtpReceiver({ certificate }),
    ]);
    const client = await new MongoClient(mongo.uri).connect();
    await client
      .db('shop')
      .collection('orders')
      .insertMany([{ number: 1 }, { number: 2 }]);
    await client.close();
    const { endpoint, region, accessKeyId, secretAccessKey } = s3;
    const raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    raw.destroy();
    const app = vault.issuer.registerApp();
    env = { NODE_EXTRA_CA_CERTS: certificate.certFile, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    azure = {
      azureTenantId: vault.tenantId,
      azureClientId: app.clientId,
      azureClientSecret: app.clientSecret,
      azureAuthority: vault.issuer.authorityHost,
    };
    stores = {
      folder: { address: join(root, 'store') },
      'azure-blob': { address: await azurite.createContainer('backups'), inputs: azure },
      s3: { address: `s3://backups/place?region=${region}&endpoint=${endpoint}` },
      sftp: {
        address: `sftp://${sftp.user}@${sftp.host}:${sftp.port}${sftp.folder}/place?fingerprint=${sftp.fingerprint}&keyFile=${sftp.keyFile}`,
      },
    };
  });
  afterAll(async () => {
    await Promise.all([mongo, azurite, vault, s3, sftp, http, smtp].map((server) => server.stop()));
    rmSync(root, { recursive: true, force: true });
  });

  const run = (host: HostName, step: string, inputs: Record<string, string>, more: Record<string, string> = {}): Promise<HostResult> =>
    runBuilt(host, step, inputs, { ...env, ...more });

  async function backUp(host: HostName, inputs: Record<string, string>, more: Record<string, string> = {}): Promise<HostResult> {
    return run(host, 'mongodb-backup', { component: 'mongodb', engine: 'driver', mongodbUri: mongo.uri, include: 'shop', ...inputs }, more);
  }

  test('every kind of store and channel is tried here', () => {
    expect(Object.keys(stores).sort()).toEqual([...STORE_KINDS].sort());
    expect([...CHANNEL_KINDS].sort()).toEqual(['email', 'heartbeat', 'rocketchat', 'slack', 'teams', 'webhook']);
  });

  describe.each(HOSTS)('on %s', (host) => {
    test.each(['folder', 'azure-blob', 's3', 'sftp'])('a store of kind %s takes a backup and lists it', async (kind) => {
      const { address, inputs = {} } = stores[kind] as (typeof stores)[string];
      const place = { store: address, name: `${host}-store`, ...inputs };
      const made = await backUp(host, { ...place, vault: join(root, `vault-${host}`) });
      expect([made.outcome, made.errors]).toEqual(['succeeded', []]);
      const listed = await run(host, 'list-backups', place);
      expect([listed.outcome, listed.outputs['count'], listed.errors]).toEqual(['succeeded', '1', []]);
    });

    test.each(['folder', 'azure-key-vault'])('a vault of kind %s keeps the key, and it opens the backup', async (kind) => {
      const inputs = kind === 'folder' ? { vault: join(root, `keys-${host}`) } : { vault: vault.url, ...azure };
      const place = { store: join(root, `vault-store-${host}-${kind}`), name: `${host}-vault`, ...inputs };
      const made = await backUp(host, place);
      expect([made.outcome, made.errors]).toEqual(['succeeded', []]);
      const validated = await run(host, 'backup-validation', place);
      expect([validated.outcome, validated.errors]).toEqual(['succeeded', []]);
    });

    test('the official tools make a backup', async () => {
      if ('missing' in tools) return;
      const place = { store: join(root, `tools-store-${host}`), vault: join(root, `tools-vault-${host}`), name: `${host}-tools` };
      const made = await backUp(host, { ...place, engine: 'tools' }, { PATH: tools.path, HOME: process.env['HOME'] ?? '/' });
      expect([made.outcome, made.errors]).toEqual(['succeeded', []]);
    });

    test.each(['webhook', 'slack', 'teams', 'rocketchat', 'heartbeat'])('the channel %s is told', async (channel) => {
      http.requests.length = 0;
      const told = await run(host, 'notify', { channel, url: `${http.url}/hook`, outcome: 'failed', name: 'shop' });
      expect([told.outcome, told.outputs['told'], told.warnings]).toEqual(['succeeded', '1', []]);
      expect(http.requests.map(({ path }) => path.split('?')[0])).toEqual([channel === 'heartbeat' ? '/hook/fail' : '/hook']);
    });

    test('the channel email is told', async () => {
      smtp.mails.length = 0;
      const inputs = { channel: 'email', url: `smtp://127.0.0.1:${smtp.port}`, from: 'backups@example.org', to: 'oncall@example.org' };
      const told = await run(host, 'notify', { ...inputs, outcome: 'failed', name: 'shop' });
      expect([told.outcome, told.outputs['told'], told.warnings]).toEqual(['succeeded', '1', []]);
      expect(smtp.mails.map(({ to }) => to)).toEqual([['oncall@example.org']]);
    });

    test('channels of dr.yml are told, each of them', async () => {
      http.requests.length = 0;
      smtp.mails.length = 0;
      const config = join(root, `dr-${host}.yml`);
      const hooks = ['webhook', 'slack', 'teams', 'rocketchat'].map((kind) => `  - { kind: ${kind}, url: "\${env:HOOK}" }`);
      writeFileSync(
        config,
        [
          'version: 1',
          'name: shop',
          'components: { mongodb: { kind: mongodb, source: { uri: "${env:URI}" } } }',
          'notify:',
          ...hooks,
          `  - { kind: email, url: "smtp://127.0.0.1:${smtp.port}", from: b@example.org, to: [o@example.org] }`,
        ].join('\n'),
      );
      const told = await run(host, 'notify', { config, outcome: 'failed' }, { HOOK: `${http.url}/hook` });
      expect([told.outcome, told.outputs['told'], told.warnings]).toEqual(['succeeded', '5', []]);
      expect([http.requests.length, smtp.mails.length]).toEqual([4, 1]);
    });
  });
});

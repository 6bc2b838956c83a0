// No secret leaks: planted ones are hunted in everything that successful and failing runs print, write, store, and hand to children.
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startOnAzure, startOnGithub, startOnTerminal, type HostResult } from '../acceptance/host-process.ts';
import { startAzurite, type Azurite } from '../backends/azurite.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { startKeyVault, type KeyVault } from '../backends/key-vault.ts';
import { mongoToolsStandIns, type StandIns } from '../backends/mongo-tools-stand-ins.ts';
import { selfSignedCertificate } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { SecretsHunt } from '../support/secrets-hunt.ts';
import { fill, startBench, type Bench } from './bench.ts';

const PASSPHRASE = 'escrow+passphrase/%41 with ümlaut';
const MASKING = /^(::add-mask::|##vso\[task\.setsecret[^\]]*\])/;

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('secrets', () => {
  let bench: Bench;
  let azurite: Azurite;
  let vault: KeyVault;
  let tools: StandIns;
  let inputs: Record<string, string>;
  let secrets: Record<string, string>;
  let certFile: string;
  beforeAll(async () => {
    bench = await startBench();
    const certificate = await selfSignedCertificate(bench.root);
    ({ certFile } = certificate);
    const blobs = join(bench.root, 'blobs');
    mkdirSync(blobs);
    [azurite, vault] = await Promise.all([startAzurite({ folder: blobs, certificate }), startKeyVault({ certificate })]);
    await fill(bench.client, 'shop', 50);
    await azurite.createContainer('backups');
    const [store, sas] = azurite.sasUrl('backups', 'racwdl').split('?') as [string, string];
    const app = vault.issuer.registerApp();
    const { publicKey, privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 3072,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE },
    });
    const keys = join(bench.root, 'keys');
    mkdirSync(keys);
    writeFileSync(join(keys, 'public.pem'), publicKey);
    writeFileSync(join(keys, 'private.pem'), privateKey);
    tools = mongoToolsStandIns({ mongodump: 'secret-on-stderr', mongorestore: 'failed-documents' });
    inputs = {
      store,
      vault: vault.url,
      name: 'shop',
      include: 'shop',
      recipients: `vault, escrow:${join(keys, 'public.pem')}`,
      azureTenantId: vault.tenantId,
      azureClientId: app.clientId,
      azureAuthority: vault.issuer.authorityHost,
      escrowKey: join(keys, 'private.pem'),
      openWith: 'escrow',
      confirm: 'shop',
    };
    secrets = { mongodbUri: bench.mongo.uri, storeSas: sas, azureClientSecret: app.clientSecret, escrowPassphrase: PASSPHRASE };
  });
  afterAll(async () => {
    tools.remove();
    await Promise.all([azurite.stop(), vault.stop()]);
    await bench.stop();
  });

  const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const RESTORE_ONLY = new Set(['escrowKey', 'escrowPassphrase', 'openWith', 'confirm', 'replace', 'targetDatabase']);

  /** Runs a step's own entry on a host and hunts in what it printed, set, summed up, and in the command lines below it. */
  async function onHost(
    hunt: SecretsHunt,
    kind: 'github' | 'azure' | 'terminal',
    step: string,
    more: Record<string, string>,
  ): Promise<HostResult> {
    const mine = (given: Record<string, string>): Record<string, string> =>
      Object.fromEntries(Object.entries(given).filter(([name]) => step === 'mongodb-restore' || !RESTORE_ONLY.has(name)));
    const given = mine({ ...inputs, ...more });
    const hidden = mine(secrets);
    const env = { NODE_EXTRA_CA_CERTS: certFile, PATH: tools.path };
    const fixture = (host: string, args: string[], options: { inputs?: Record<string, string>; env: Record<string, string> }) =>
      host === 'github'
        ? startOnGithub('test/steps/fixtures/step-entry.ts', { ...options, args })
        : startOnAzure('test/steps/fixtures/step-entry.ts', { ...options, args });
    const spelt = (record: Record<string, string>, spell: (name: string) => string): Record<string, string> =>
      Object.fromEntries(Object.entries(record).map(([name, value]) => [spell(name), value]));
    const started =
      kind === 'terminal'
        ? startOnTerminal('scripts/cli.ts', {
            args: [
              step,
              ...Object.entries(given).map(([name, value]) => (value === 'true' ? `--${kebab(name)}` : `--${kebab(name)}=${value}`)),
              '--verbose',
              '--json',
            ],
            env: { ...env, ...spelt(hidden, (name) => `LIFEBOAT_${kebab(name).replaceAll('-', '_').toUpperCase()}`) },
          })
        : fixture(kind, [kind, step], { env, inputs: spelt({ ...given, ...hidden }, kind === 'github' ? kebab : (name) => name) });
    const watch = hunt.watchArguments(started.child.pid ?? 0);
    const result = await started.result;
    watch.stop();
    const where = `${step} on ${kind}`;
    // What tells the CI system to mask is where a secret belongs.
    const lines = result.log.split('\n').filter((line) => !MASKING.test(line));
    hunt.search(`log of ${where}`, lines.join('\n'));
    hunt.search(`outputs of ${where}`, JSON.stringify([result.outputs, result.json ?? {}]));
    hunt.search(`summary of ${where}`, result.summary);
    // The Azure agent reads the summary's file when the task is over.
    expect(result.leftInTemp.filter((name) => !name.endsWith('.md'))).toEqual([]);
    return result;
  }

  test('are in nothing that any host prints, that is stored, or that a child gets to see in its arguments', async () => {
    const hunt = new SecretsHunt({
      'MongoDB password': bench.mongo.password ?? '',
      ...secrets,
      signature: new URLSearchParams(secrets['storeSas']).get('sig') ?? '',
    });
    for (const kind of ['github', 'azure', 'terminal'] as const) {
      const ends: (string | undefined)[] = [];
      const component = kind;
      const say = async (step: string, more: Record<string, string>): Promise<void> => {
        const { outcome, errors } = await onHost(hunt, kind, step, { component, ...more });
        ends.push(outcome === 'succeeded' ? outcome : `${outcome}: ${errors.join(' ')}`);
      };
      await say('mongodb-backup', { engine: 'driver' });
      // One run on each host that fails with the connection string on a child's lips would say nothing new: the terminal does.
      if (kind === 'terminal') await say('mongodb-backup', { engine: 'tools' });
      await say('mongodb-restore', { engine: 'tools', targetDatabase: `failed_${kind}`, allowOlder: 'true' });
      expect([kind, ...ends]).toEqual([
        kind,
        'succeeded',
        ...(kind === 'terminal'
          ? [expect.stringMatching(/^failed: .*mongodump ended .* failed to connect to \S+ connection\(\) error/)]
          : []),
        expect.stringMatching(/^failed: .*3 documents could not be restored/),
      ]);
    }
    for (const { program, args } of tools.calls()) hunt.search(`argv of ${program}`, args.join('\n'));
    expect(
      tools
        .calls()
        .filter(({ args }) => !args.includes('--version'))
        .map(({ program }) => program),
    ).toEqual(expect.arrayContaining(['mongodump', 'mongorestore']));
    // Backups, manifests, run records: everything the store holds.
    const stored = join(bench.root, 'blobs');
    expect(readdirSync(stored).length).toBeGreaterThan(0);
    hunt.searchFolder(stored);
    expect(hunt.finds()).toEqual([]);
    expect(hunt.searched.commandLines).toBeGreaterThan(12);
  });
});

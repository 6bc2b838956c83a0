// `lifeboat init`: valid files, nothing overwritten, a schedule of one's own.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { initOf } from '../../shared/cli/init.ts';
import { parseDr } from '../../shared/config/load.ts';
import { nightlyCron, PIPELINE_PATH, WORKFLOW_PATH } from '../../shared/config/init.ts';
import { stableMinute } from '../../shared/config/jitter.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { KINDS, Kinds } from '../../shared/kinds/registry.ts';
import { mongodb } from '../../shared/mongodb/kind.ts';
import { runStep } from '../../shared/step/run.ts';

/** Of a program that knows one kind; the conformance suite of kinds tries it with several. */
const init = initOf(new Kinds([mongodb]));

const PLACES = { store: 'https://stdrprod.blob.core.windows.net/backups/team-a', vault: 'https://kv-dr-prod.vault.azure.net' };

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PUBLIC_KEY = pair.publicKey.export({ type: 'spki', format: 'pem' });
const PRIVATE_KEY = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });

let root: string;
let folder: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lifeboat-init-'));
  folder = join(root, 'Shop (Prod)');
  mkdirSync(folder);
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

async function run(inputs: Record<string, string>, answers: string[] = []) {
  const host = new MemoryHost({ inputs: { folder, ...inputs } });
  host.ask = async () => answers.shift();
  const finish = await runStep(init, host);
  return { host, finish };
}

function written(path: string): string {
  return readFileSync(join(folder, path), 'utf8');
}

describe('init', () => {
  test('writes a dr.yml that is valid, explained and in an editor completed', async () => {
    const { finish } = await run({ yes: 'true', ...PLACES, github: 'false', azure: 'false' });
    expect(finish).toMatchObject({ outcome: 'succeeded', result: { files: ['dr.yml'] } });
    const text = written('dr.yml');
    expect(text).toMatch(/^# yaml-language-server: \$schema=https:\/\//);
    const dr = parseDr(text, 'dr.yml');
    expect(dr.dr.name).toBe('shop-prod');
    expect(await dr.store('primary')).toEqual({ kind: 'azure-blob', account: 'stdrprod', container: 'backups', prefix: 'team-a' });
    expect(dr.notices).toEqual([]);
    expect(dr.dr.components['mongodb']?.schedule).toBe(nightlyCron({ name: 'shop-prod', hour: 2 }));
  });

  test('takes folders, an escrow key, and names that YAML would read as something else', async () => {
    writeFileSync(join(folder, 'escrow public.pem'), PUBLIC_KEY);
    await run({ yes: 'true', store: './a: b', vault: 'keys #1', name: 'on', escrow: 'escrow public.pem', github: 'true', azure: 'true' });
    const dr = parseDr(written('dr.yml'), join(folder, 'dr.yml'));
    expect(dr.dr.name).toBe('on');
    expect(await dr.store('primary')).toEqual({ kind: 'folder', path: join(folder, 'a: b') });
    expect(await dr.recipients()).toEqual([{ kind: 'folder' }, { kind: 'escrow', publicKey: join(folder, 'escrow public.pem') }]);
    expect(written(WORKFLOW_PATH)).toContain('runs-on: self-hosted');
    expect(written(WORKFLOW_PATH)).not.toContain('id-token');
    expect(written(PIPELINE_PATH)).not.toContain('azureSubscription');
  });

  test('starts what cron cannot say from cron lines that come more often, and leaves the rest to --due', async () => {
    const schedule = 'first sunday at 00:17 Europe/Berlin';
    const { finish } = await run({ yes: 'true', ...PLACES, schedule, github: 'true', azure: 'true' });
    expect(finish.outcome).toBe('succeeded');
    expect(parseDr(written('dr.yml'), 'dr.yml').dr.components['mongodb']?.schedule).toBe(schedule);
    const workflow = parse(written(WORKFLOW_PATH)) as { on: { schedule: unknown }; jobs: { backup: { steps: { with: unknown }[] } } };
    expect(workflow.on.schedule).toEqual([{ cron: '17 22,23 * * 6' }]);
    expect(workflow.jobs.backup.steps[1]?.with).toMatchObject({ due: "${{ github.event_name == 'schedule' }}" });
    const pipeline = parse(written(PIPELINE_PATH)) as { schedules: unknown; jobs: { steps: { inputs: unknown }[] }[] };
    expect(pipeline.schedules).toMatchObject([{ cron: '17 22,23 * * 6', always: true }]);
    expect(pipeline.jobs[0]?.steps[1]?.inputs).toMatchObject({ due: "${{ eq(variables['Build.Reason'], 'Schedule') }}" });

    await run({ yes: 'true', force: 'true', ...PLACES, schedule: 'sunday at 01:17', github: 'true', azure: 'false' });
    expect(written(WORKFLOW_PATH)).toContain('- cron: "17 1 * * 0"');
    expect(written(WORKFLOW_PATH)).not.toContain('due:');
    const wrong = await run({ yes: 'true', force: 'true', ...PLACES, schedule: 'fifth sunday', github: 'true' });
    expect(wrong.finish).toMatchObject({ exitCode: 2, error: { message: expect.stringMatching(/^schedule: expected a cron/) } });
  });

  test('asks for what is not given, and takes what is there as a hint', async () => {
    mkdirSync(join(folder, '.github'), { recursive: true });
    const { finish } = await run({}, ['', '', PLACES.store, PLACES.vault, '', '', '']);
    expect(finish.result).toMatchObject({
      files: ['dr.yml', WORKFLOW_PATH],
      next: ['lifeboat config validate', 'lifeboat doctor', 'lifeboat backup-all'],
    });
  });

  test('a wrong answer is asked for again at once, a wrong flag is named as it was given', async () => {
    const { host, finish } = await run({ github: 'false', azure: 'false' }, [
      'My App!',
      'my-app',
      'maybe',
      'no',
      'ftp://x',
      './backups',
      './keys',
    ]);
    expect(finish.outcome).toBe('succeeded');
    expect(host.log.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringMatching(/^warning: name: expected a name of lower-case letters.*found "My App!"\. "lifeboat init --help" explains/),
      'warning: "maybe" is neither yes nor no. Type yes or no.',
      expect.stringMatching(/^warning: "ftp:\/\/x" is neither the address of a store nor a folder\. Write it like/),
    ]);
    expect(parseDr(written('dr.yml'), 'dr.yml').dr.name).toBe('my-app');
    const wrong = { rpo: 'never', retention: '7', component: 'My DB' };
    for (const [name, value] of Object.entries(wrong)) {
      const { finish: ended } = await run({ yes: 'true', ...PLACES, force: 'true', [name]: value });
      expect([ended.exitCode, ended.error?.message]).toEqual([2, expect.stringMatching(new RegExp(`^${name}: expected`))]);
    }
  });

  test('takes a MongoDB inside a cluster, and logs in to it where the CI system runs', async () => {
    const pod = { kubernetesNamespace: 'rocketchat', kubernetesContainer: 'mongodb' };
    const { finish } = await run({ yes: 'true', ...PLACES, ...pod, github: 'true', azure: 'true' });
    expect(finish.outcome).toBe('succeeded');
    const dr = parseDr(written('dr.yml'), 'dr.yml');
    expect(dr.dr.components['mongodb']).toHaveProperty('source', {
      kubernetes: { namespace: 'rocketchat', selector: 'app.kubernetes.io/name=mongodb', container: 'mongodb' },
    });
    const workflow = parse(written(WORKFLOW_PATH)) as { jobs: { backup: { steps: { uses?: string; run?: string; env?: object }[] } } };
    const [, login, cluster, backup] = workflow.jobs.backup.steps;
    expect([login?.uses, cluster?.run]).toEqual([
      expect.stringMatching(/^azure\/login@/),
      expect.stringContaining('az aks get-credentials'),
    ]);
    expect(backup?.env).toBeUndefined();
    const pipeline = parse(written(PIPELINE_PATH)) as { jobs: { steps: { task?: string; inputs: object; env?: object }[] }[] };
    const [, task, backupTask] = pipeline.jobs[0]?.steps ?? [];
    expect(task).toMatchObject({ task: 'Kubernetes@1', inputs: { command: 'login', kubernetesCluster: '$(AKS_CLUSTER)' } });
    expect(backupTask?.env).toBeUndefined();
    const remaining = JSON.stringify((finish.result as { remaining: unknown }).remaining);
    for (const said of ['gh variable set AKS_CLUSTER', 'AKS_RESOURCE_GROUP and AKS_CLUSTER', 'exec into them', 'az aks get-credentials'])
      expect(remaining).toContain(said);
    expect(remaining).not.toContain('MONGODB_URI');

    const named = { kubernetesNamespace: 'chat', kubernetesPod: 'mongodb-0', kubernetesContext: 'aks-prod' };
    const folders = await run({ yes: 'true', force: 'true', store: '/b', vault: '/k', ...named, github: 'true', azure: 'true' });
    expect(parseDr(written('dr.yml'), 'dr.yml').dr.components['mongodb']).toHaveProperty('source', {
      kubernetes: { context: 'aks-prod', namespace: 'chat', pod: 'mongodb-0' },
    });
    expect(written(WORKFLOW_PATH) + written(PIPELINE_PATH)).not.toMatch(/azure\/login|Kubernetes@1|MONGODB_URI/);
    expect(JSON.stringify(folders.finish.result)).toContain('kubeconfig that reaches the cluster');
  });

  test('asks where in the cluster MongoDB is, and again for what cannot be', async () => {
    const asked: string[] = [];
    const answers = ['', 'yes', 'Rocket Chat', 'rocketchat', '-x', 'app=mongo', './b', './k'];
    const host = new MemoryHost({ inputs: { folder, github: 'false', azure: 'false' } });
    host.ask = async (question = '') => {
      asked.push(question);
      return answers.shift();
    };
    expect((await runStep(init, host)).outcome).toBe('succeeded');
    expect(asked.slice(1, 6)).toEqual([
      'Is MongoDB reachable only from inside a Kubernetes cluster? [no]: ',
      'Namespace of its pods [default]: ',
      'Namespace of its pods [default]: ',
      'Label selector of its pods [app.kubernetes.io/name=mongodb]: ',
      'Label selector of its pods [app.kubernetes.io/name=mongodb]: ',
    ]);
    expect(host.log.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringMatching(/^warning: kubernetesNamespace: expected a name of lower-case/),
      expect.stringMatching(/^warning: kubernetesSelector: expected a label selector/),
    ]);
    expect(parseDr(written('dr.yml'), 'dr.yml').dr.components['mongodb']).toHaveProperty('source', {
      kubernetes: { namespace: 'rocketchat', selector: 'app=mongo' },
    });
    const half = await run({ yes: 'true', force: 'true', ...PLACES, kubernetesSelector: 'a=b' });
    expect(half.finish.error?.message).toBe('kubernetesNamespace is missing: kubernetesSelector alone does not say where the pod is.');
  });

  test('takes another kind without questions of its own, signs in to its cluster, and says what to do there', async () => {
    const host = new MemoryHost({
      inputs: {
        folder,
        yes: 'true',
        ...PLACES,
        kind: 'cluster-state',
        excludeNamespaces: 'kube-system, tmp',
        github: 'true',
        azure: 'false',
      },
    });
    const finish = await runStep(initOf(KINDS), host);
    expect(finish.outcome).toBe('succeeded');
    expect(parseDr(written('dr.yml'), 'dr.yml').dr.components).toMatchObject({
      'cluster-state': { kind: 'cluster-state', excludeNamespaces: ['kube-system', 'tmp'] },
    });
    expect(written(WORKFLOW_PATH)).toContain('az aks get-credentials');
    expect(written(WORKFLOW_PATH)).not.toContain('MONGODB_URI');
    expect(JSON.stringify(finish.result)).toContain('doctor shows the role that it lacks');
  });

  test('says what folders need: out of version control, outside a checkout', async () => {
    const remaining = async (inputs: Record<string, string>): Promise<string> => {
      const { finish } = await run({ yes: 'true', force: 'true', azure: 'false', ...inputs });
      return JSON.stringify((finish.result as { remaining: unknown }).remaining);
    };
    const near = await remaining({ store: './b', vault: './k', github: 'true' });
    for (const said of ['Keep ./b and ./k out of version control', 'outside the checkout']) expect(near).toContain(said);
    expect(await remaining({ store: '/mnt/b', vault: '/mnt/k', github: 'true' })).not.toMatch(/version control|checkout/);
  });

  test('names the flags when nobody can answer', async () => {
    expect((await run({})).finish).toMatchObject({ exitCode: 2, error: { message: 'store and vault are not given.' } });
  });

  test('overwrites nothing, and writes nothing at all when one file is there', async () => {
    mkdirSync(join(folder, '.github', 'workflows'), { recursive: true });
    writeFileSync(join(folder, WORKFLOW_PATH), 'mine');
    const inputs = { yes: 'true', ...PLACES, github: 'true', azure: 'true' };
    const { finish } = await run(inputs);
    expect(finish).toMatchObject({ exitCode: 5, error: { message: expect.stringContaining(WORKFLOW_PATH) } });
    expect(existsSync(join(folder, 'dr.yml'))).toBe(false);
    expect(written(WORKFLOW_PATH)).toBe('mine');
    expect((await run({ ...inputs, force: 'true' })).finish.outcome).toBe('succeeded');
    expect(written(WORKFLOW_PATH)).toContain('permissions: {}');
  });

  test('with --force writes over what was asked for, and nothing else', async () => {
    mkdirSync(join(folder, '.github', 'workflows'), { recursive: true });
    for (const path of [WORKFLOW_PATH, PIPELINE_PATH, 'dr.yml']) writeFileSync(join(folder, path), 'edited by hand');
    const forced = await run({ yes: 'true', force: 'true', ...PLACES });
    expect(forced.finish).toMatchObject({ outcome: 'succeeded', result: { files: ['dr.yml'] } });
    expect([written(WORKFLOW_PATH), written(PIPELINE_PATH)]).toEqual(['edited by hand', 'edited by hand']);
    expect(forced.host.log.join('\n')).toContain(`${PIPELINE_PATH} stays as it is. azure with force writes it anew.`);
    const answered = await run({ force: 'true', ...PLACES, name: 'shop' }, ['no', '', '', 'yes']);
    expect(answered.finish).toMatchObject({ outcome: 'succeeded', result: { files: ['dr.yml', PIPELINE_PATH] } });
    expect(written(WORKFLOW_PATH)).toBe('edited by hand');
  });

  test('keeps all answers when one cannot be taken: each is asked for again, and a wrong option comes before the first question', async () => {
    writeFileSync(join(folder, PIPELINE_PATH), 'edited by hand');
    writeFileSync(join(folder, 'private.pem'), PRIVATE_KEY);
    writeFileSync(join(folder, 'public.pem'), PUBLIC_KEY);
    const answers = [
      'Shop & Söhne',
      '',
      'no',
      '',
      'https://a.blob.core.windows.net/Wrong_Name',
      './backups',
      '',
      './backups/',
      './backups/keys',
    ];
    const { host, finish } = await run({}, [
      ...answers,
      's3://x',
      './keys',
      'missing.pem',
      'private.pem',
      'dr',
      'public.pem',
      'no',
      'yes',
      'no',
    ]);
    expect(host.log.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringContaining('found "Shop & Söhne"'),
      expect.stringContaining('has no default'),
      expect.stringContaining("store: expected a container's name"),
      expect.stringContaining('has no default'),
      expect.stringContaining('The keys (./backups/) would be in the same place as the backups (./backups)'),
      expect.stringContaining('The keys (./backups/keys) would be in the same place'),
      expect.stringMatching(/s3:\/\/x" is neither the address of a Key Vault nor a folder\. Write it like https:\/\/kv-dr-prod\.vault/),
      expect.stringMatching(/missing\.pem cannot be read: there is no such file\. Make the pair first: openssl genpkey .* && openssl pkey/),
      expect.stringMatching(/private\.pem holds the private half.* openssl pkey -in private\.pem -pubout/),
      expect.stringContaining('dr cannot be read'),
      expect.stringContaining(`${PIPELINE_PATH} exists already. Type no`),
    ]);
    expect(finish).toMatchObject({ outcome: 'succeeded', result: { files: ['dr.yml'] } });
    expect(parseDr(written('dr.yml'), 'dr.yml').dr).toMatchObject({
      name: 'shop-sohne',
      keys: [{ kind: 'folder' }, { kind: 'escrow', publicKey: 'public.pem' }],
    });

    const questions = ['never asked'];
    const early = await run({ rpo: 'never', force: 'true' }, questions);
    expect([early.finish.exitCode, early.finish.error?.message, questions]).toEqual([
      2,
      expect.stringMatching(/^rpo: expected/),
      ['never asked'],
    ]);
  });

  test('takes S3 and SFTP, asks for what they need, and signs in where the CI system runs', async () => {
    const bucket = await run({ vault: PLACES.vault, name: 'shop', azure: 'false', escrow: '' }, [
      'no',
      's3://dr-backups/team-a',
      'eu-central-1',
      '',
      '',
      'yes',
    ]);
    expect(bucket.finish.outcome).toBe('succeeded');
    expect(await parseDr(written('dr.yml'), 'dr.yml').store('primary')).toEqual({
      kind: 's3',
      bucket: 'dr-backups',
      prefix: 'team-a',
      region: 'eu-central-1',
    });
    const workflow = parse(written(WORKFLOW_PATH)) as { jobs: { backup: { 'runs-on': string; steps: { env?: object }[] } } };
    expect(workflow.jobs.backup['runs-on']).toBe('ubuntu-latest');
    expect(workflow.jobs.backup.steps[1]?.env).toEqual({
      MONGODB_URI: '${{ secrets.MONGODB_URI }}',
      AWS_ACCESS_KEY_ID: '${{ secrets.AWS_ACCESS_KEY_ID }}',
      AWS_SECRET_ACCESS_KEY: '${{ secrets.AWS_SECRET_ACCESS_KEY }}',
    });

    const fingerprint = `SHA256:${'a'.repeat(43)}`;
    const flags = { yes: 'true', force: 'true', vault: '/mnt/keys', name: 'shop', github: 'false', azure: 'true' };
    const server = await run({ ...flags, store: `sftp://backup@host.example.org:2222/srv/backups?fingerprint=${fingerprint}` });
    expect(server.finish.outcome).toBe('succeeded');
    expect(written('dr.yml')).toContain(
      `primary: { kind: sftp, host: host.example.org, port: 2222, user: backup, path: "/srv/backups", fingerprint: "${fingerprint}", privateKey: "\${env:SFTP_PRIVATE_KEY}" }`,
    );
    expect(written(PIPELINE_PATH)).toContain('SFTP_PRIVATE_KEY: $(SFTP_PRIVATE_KEY)');
    expect(written(PIPELINE_PATH)).toContain('the vault is a folder: a hosted agent would throw it away');
    expect(JSON.stringify(server.finish.result)).toContain('Install the Lifeboat extension');
    const bare = await run({ ...flags, store: 'sftp://backup@host.example.org/srv/backups' });
    expect(bare.finish).toMatchObject({ exitCode: 2, error: { message: expect.stringMatching(/^store: expected a fingerprint/) } });
    const asked = await run({ force: 'true', vault: './k', name: 'shop', github: 'false', azure: 'false' }, [
      'no',
      'sftp://backup@host.example.org/~/b',
      'MD5:x',
      fingerprint,
    ]);
    expect(asked.finish.outcome).toBe('succeeded');
    expect(await parseDr(written('dr.yml'), 'dr.yml').store('primary')).toMatchObject({ kind: 'sftp', path: 'b', fingerprint });
  });

  test('says which path of an option is not there', async () => {
    const nowhere = await run({ yes: 'true', ...PLACES, folder: join(root, 'nowhere') });
    expect(nowhere.finish).toMatchObject({
      exitCode: 2,
      error: { message: expect.stringMatching(/^folder is .*nowhere": there is no such folder/) },
    });
    const key = await run({ yes: 'true', ...PLACES, escrow: 'escrow.pem' });
    expect(key.finish).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining('escrow.pem cannot be read') } });
    const same = await run({ yes: 'true', store: './b', vault: 'b/' });
    expect(same.finish).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining('in the same place as the backups') } });
    expect(existsSync(join(folder, 'dr.yml'))).toBe(false);
  });

  test('never lets a SAS or a wrong value into a file', async () => {
    const sas = await run({ yes: 'true', ...PLACES, store: `${PLACES.store}?sv=1&sig=geheim` });
    expect(sas.finish.exitCode).toBe(2);
    expect(JSON.stringify([sas.finish, sas.host.log])).not.toContain('geheim');
    const wrong = await run({ yes: 'true', ...PLACES, retention: 'forever' });
    expect(wrong.finish).toMatchObject({ exitCode: 2, error: { message: expect.stringContaining('retention') } });
    expect(existsSync(join(folder, 'dr.yml'))).toBe(false);
  });

  test('works beside a dr.yml that is broken, to replace it', async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'dr.yml'), 'version: [');
    expect((await run({ yes: 'true', ...PLACES, force: 'true' })).finish.outcome).toBe('succeeded');
  });
});

test('a name has one minute, off the full and half hour; names are spread', () => {
  const minutes = Array.from({ length: 500 }, (_, index) => stableMinute(`name-${index}`));
  expect(stableMinute('name-1')).toBe(minutes[1]);
  expect(minutes.filter((minute) => minute % 30 < 5 || minute % 30 > 25)).toEqual([]);
  expect(new Set(minutes).size).toBeGreaterThan(35);
});

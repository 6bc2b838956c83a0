// The daily life of backups in S3 and on an SFTP server, by the inputs that a user would write; copies between all kinds of stores.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { sshd, startSshd, type Sshd } from '../backends/sshd.ts';
import { tempFolder } from '../backends/support.ts';
import { startVersitygw, versitygw, type Versitygw } from '../backends/versitygw.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench } from './bench.ts';

const s3Tool = await versitygw();
const sftpTool = await sshd();
const missing = [s3Tool, sftpTool].flatMap((tool) => ('missing' in tool ? [tool.missing] : []));
if (!(await canBuildFerretDb())) missing.push('needs Go 1.24 to build FerretDB');

describeIf(missing.length === 0, missing.join(', '))('remote stores', () => {
  let bench: Bench;
  let s3: Versitygw;
  let sftp: Sshd;
  let addresses: { s3: string; sftp: string; folder: string };
  const folder = tempFolder('remote-stores');
  const before = { ...process.env };

  beforeAll(async () => {
    [bench, s3, sftp] = await Promise.all([startBench(), startVersitygw((s3Tool as { program: string }).program), startSshd()]);
    const { endpoint, region, accessKeyId, secretAccessKey } = s3;
    const raw = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await raw.send(new CreateBucketCommand({ Bucket: 'backups' }));
    raw.destroy();
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });
    addresses = {
      s3: `s3://backups/place?region=${region}&endpoint=${endpoint}`,
      sftp: `sftp://${sftp.user}@${sftp.host}:${sftp.port}${sftp.folder}/place?fingerprint=${sftp.fingerprint}&keyFile=${sftp.keyFile}`,
      folder: join(folder, 'place'),
    };
    await fill(bench.client, 'shop');
  });

  afterAll(async () => {
    process.env = before;
    await Promise.all([bench.stop(), s3.stop(), sftp.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** A place of its own in a store: a test that is tried again finds nothing of its first try. */
  let places = 0;
  function fresh(kind: 's3' | 'sftp' | 'folder'): string {
    places += 1;
    return addresses[kind].replace('/place', `/place-${places}`);
  }

  /** Timestamps and states, newest first. */
  async function listed(store: string): Promise<string[]> {
    const { outcome, said, finish } = await run('list-backups', { store, name: 'shop', component: 'mongodb' });
    expect([outcome, said]).toEqual(['succeeded', '']);
    const { backups } = finish.result as { backups: { timestamp: string; state: string }[] };
    return backups.map(({ timestamp, state }) => `${timestamp} ${state}`);
  }

  test.each(['s3', 'sftp'] as const)('backup, list, validation, restore plan and retention with %s', async (kind) => {
    const place = bench.place();
    const store = fresh(kind);
    const { vault } = place;
    const days = ['20241201_120000', '20241202_120000', '20241203_120000'];
    for (const timestamp of days) {
      const made = await run('mongodb-backup', { ...place.inputs, store, timestamp });
      expect([made.outcome, made.said]).toEqual(['succeeded', '']);
    }
    expect(await listed(store)).toEqual(days.map((day) => `${day} verified`).reverse());
    const reading = { store, vault, name: 'shop', component: 'mongodb' };
    const valid = await run('backup-validation', reading);
    expect([valid.outcome, valid.said]).toEqual(['succeeded', '']);
    const plan = await run('mongodb-restore', { ...place.inputs, store, confirm: 'shop', dryRun: 'true', replace: 'true' });
    expect([plan.outcome, plan.said]).toEqual(['succeeded', '']);
    expect(plan.log.join('\n')).toContain('20241203_120000');
    const pruned = await run('apply-retention', { ...reading, confirm: 'shop', keepLast: '2' });
    expect([pruned.outcome, pruned.said]).toEqual(['succeeded', '']);
    expect(await listed(store)).toEqual(['20241203_120000 verified', '20241202_120000 verified']);
    expect(place.keys()).toHaveLength(2);
  });

  test('copies go from each kind to another, and each of them restores', async () => {
    const place = bench.place();
    const { vault } = place;
    const [start, ...rest] = [join(place.store, 'first'), fresh('s3'), fresh('sftp'), fresh('s3'), fresh('folder')] as const;
    const made = await run('mongodb-backup', { ...place.inputs, store: start, timestamp: '20241201_120000' });
    expect([made.outcome, made.said]).toEqual(['succeeded', '']);
    let from: string = start;
    for (const to of rest) {
      const copied = await run('copy-backups', { name: 'shop', component: 'mongodb', store: from, copies: to, days: '0' });
      expect([copied.outcome, copied.said, copied.outputs['copied']]).toEqual(['succeeded', '', '1']);
      const valid = await run('backup-validation', { store: to, vault, name: 'shop', component: 'mongodb' });
      expect([valid.outcome, valid.said]).toEqual(['succeeded', '']);
      from = to;
    }
    const plan = await run('mongodb-restore', { ...place.inputs, store: from, confirm: 'shop', dryRun: 'true', replace: 'true' });
    expect([plan.outcome, plan.said]).toEqual(['succeeded', '']);
  });

  test('without credentials the sentence says what to set', async () => {
    delete process.env['AWS_ACCESS_KEY_ID'];
    delete process.env['AWS_SECRET_ACCESS_KEY'];
    process.env['AWS_EC2_METADATA_DISABLED'] = 'true';
    const nobody = await run('list-backups', { store: addresses.s3, name: 'shop' });
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: s3.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.secretAccessKey });
    expect([nobody.outcome, nobody.exitCode]).toEqual(['failed', 1]);
    expect(nobody.said).toMatch(/no credentials were found\.\nSign in .*AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);

    const stranger = await run('list-backups', {
      store: addresses.sftp.replace(sftp.keyFile, sftp.strangerKeyFile),
      name: 'shop',
    });
    expect([stranger.outcome, stranger.exitCode]).toEqual(['failed', 1]);
    expect(stranger.said).toMatch(/does not let .* in\.\nCheck user and key/);
  });
});

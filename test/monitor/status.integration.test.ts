// The step `status` over real stores: the document, the file, the push, and what a real promtool, push gateway and Prometheus make of it.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { writeRunRecord } from '../../shared/catalog/runs.ts';
import { drSource } from '../../shared/session/session.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { metricFamilies, renderMetrics } from '../../shared/monitor/metrics.ts';
import type { StatusDocument } from '../../shared/monitor/status.ts';
import { runStep } from '../../shared/step/run.ts';
import { recordCopies } from '../../shared/backup/copy-record.ts';
import { formatTimestamp } from '../../shared/step/timestamp.ts';
import { statusStep } from '../../shared/steps/status/index.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { startHttpReceiver, type HttpReceiver } from '../backends/http-receiver.ts';
import { prometheusTools, startPrometheus, startPushGateway } from '../backends/prometheus.ts';
import { tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { DAY, DUE, HOUR } from './worlds.ts';

const tools = await prometheusTools();
const scratch = tempFolder('status');
let store: FolderStore;
let receiver: HttpReceiver;

beforeAll(async () => {
  receiver = await startHttpReceiver();
});
afterAll(async () => {
  await receiver.stop();
  rmSync(scratch, { recursive: true, force: true });
});
beforeEach(() => {
  rmSync(scratch, { recursive: true, force: true });
  // As init leaves it: a folder that is not there is an error.
  mkdirSync(join(scratch, 'store'), { recursive: true });
  receiver.requests.length = 0;
  store = new FolderStore(join(scratch, 'store'));
  writeFileSync(
    join(scratch, 'dr.yml'),
    `version: 1
name: shop
stores: { primary: { kind: folder, path: ${scratch}/store } }
vault: { kind: folder, path: ${scratch}/keys }
components:
  mongodb: { kind: mongodb, source: { uri: "\${env:URI}" }, schedule: "17 2 * * *" }
notify: [{ kind: webhook, url: "\${env:STATUS_WEBHOOK}" }]
`,
  );
  process.env['STATUS_WEBHOOK'] = `${receiver.url}/status`;
});

/** A dr.yml with a second store for copies, and with a second component where one is given. */
function withOffsite(more = ''): void {
  const file = join(scratch, 'dr.yml');
  const text = readFileSync(file, 'utf8').replace('vault:', `  offsite: { kind: folder, path: ${scratch}/offsite }\nvault:`);
  writeFileSync(
    file,
    text
      .replace(/stores: \{ primary: (.*) \}\n/, 'stores:\n  primary: $1\n')
      .replace('{ kind: mongodb,', '{ kind: mongodb, store: primary, copies: [offsite],')
      .replace('notify:', `${more}notify:`),
  );
}

/** What a backup leaves in a store, as a listing sees it. */
async function backUp(time: number, durationMs = 60_000): Promise<void> {
  const folder = `shop/mongodb/${formatTimestamp(new Date(time))}/`;
  const metadata = {
    kind: 'mongodb',
    created: new Date(time).toISOString(),
    plainbytes: '4096',
    storedbytes: '1024',
    verified: 'full',
    suspect: '0',
    durationms: String(durationMs),
  };
  await store.write(`${folder}data`, Buffer.alloc(1024), { metadata });
  await store.write(`${folder}manifest.json`, Buffer.from('{}'), { metadata });
}

/** One look at a certain time. */
async function look(now: number, inputs: Record<string, string> = {}) {
  const host = new MemoryHost({ inputs: { config: join(scratch, 'dr.yml'), ...inputs } });
  const clock = { ...systemClock, now: () => new Date(now) };
  const finish = await runStep(statusStep, host, { clock, openConfig: drSource({ env: { ...process.env, URI: 'mongodb://x/' } }) });
  return { host, finish, status: JSON.parse(host.outputs['document'] ?? '{}') as StatusDocument };
}

describe('the document', () => {
  test('has the seeds’ keys and is kept in the store', async () => {
    await backUp(DUE - DAY);
    await backUp(DUE);
    const { finish, status } = await look(DUE + HOUR);
    expect(finish).toMatchObject({ outcome: 'succeeded', exitCode: 0 });
    expect(Object.keys(status).slice(0, 6)).toEqual([
      'status',
      'last_backup',
      'next_backup',
      'storage_used',
      'storage_free',
      'recent_failures',
    ]);
    expect(status).toMatchObject({
      status: 'healthy',
      last_backup: '2024-12-01T02:17:00.000Z',
      next_backup: '2024-12-02T02:17:00.000Z',
      storage_used: 2048,
      recent_failures: 0,
      components: [
        {
          component: 'mongodb',
          store: 'primary',
          verified_backups: 2,
          expected_interval_seconds: 86_400,
          duration_seconds: 60,
          stored_bytes: 1024,
        },
      ],
    });
    expect(status.storage_free).toBeGreaterThan(0);
    expect(JSON.parse(Buffer.from((await store.read('shop/status.json')) ?? []).toString())).toEqual(status);
    expect(finish.result).toEqual(status);
  });

  test('a backup that was promised and never made fails the step', async () => {
    const { finish, status } = await look(DUE);
    expect(finish).toMatchObject({
      outcome: 'failed',
      exitCode: 1,
      error: { message: 'mongodb is in dr.yml but has no backup at all: there was not even an attempt.' },
    });
    expect(status).toMatchObject({ status: 'critical', last_backup: null });
  });

  test('fail-on never and warning', async () => {
    for (const days of [5, 4, 3, 2, 1]) await backUp(DUE - days * DAY);
    await backUp(DUE, 600_000);
    expect((await look(DUE + HOUR)).finish).toMatchObject({ outcome: 'succeeded' });
    expect((await look(DUE + HOUR, { failOn: 'warning' })).finish).toMatchObject({
      outcome: 'failed',
      error: { message: expect.stringContaining('more than twice the average') },
    });
    expect((await look(DUE + 9 * DAY, { failOn: 'never' })).finish).toMatchObject({ outcome: 'succeeded' });
  });

  test('a store for copies whose disk is not mounted is told as one that cannot be looked at', async () => {
    withOffsite();
    await backUp(DUE);
    const offsite = new FolderStore(join(scratch, 'offsite'));
    await recordCopies({ store, prefix: 'shop' }, { store: offsite, prefix: 'shop' }, 'mongodb', new Date(DUE));
    rmSync(join(scratch, 'offsite'), { recursive: true });
    const { status } = await look(DUE + 2 * HOUR);
    expect(status.findings).toMatchObject([
      {
        rule: 'unreachable',
        severity: 'warning',
        message: `The store offsite cannot be looked at: There is no folder ${scratch}/offsite.`,
      },
    ]);
    expect(existsSync(join(scratch, 'offsite'))).toBe(false);
  });

  test('a store for copies that never got one is told, with what to run', async () => {
    withOffsite();
    await backUp(DUE);
    const { finish, status } = await look(DUE + 2 * HOUR);
    expect(finish.exitCode).toBe(0);
    expect(status.findings).toMatchObject([
      {
        rule: 'replication-lag',
        severity: 'warning',
        message: 'offsite has not a single copy of mongodb, although dr.yml names it under copies.',
        next: `lifeboat copy-backups --component mongodb --config ${join(scratch, 'dr.yml')}`,
      },
    ]);
    expect(status.components[0]?.copies).toEqual([{ store: 'offsite', newest: null, lag_seconds: 7200 }]);
    // Asked about one store, it does not speak of others.
    expect((await look(DUE + 2 * HOUR, { store: 'primary' })).status.findings).toEqual([]);
  });

  test('a store for copies that does not answer is told, and hides nothing of the others', async () => {
    withOffsite();
    await backUp(DUE);
    // A file where the folder should be.
    writeFileSync(join(scratch, 'offsite'), '');
    const { finish, status } = await look(DUE + 40 * HOUR);
    expect(finish.exitCode).toBe(1);
    expect(status.findings.map(({ rule, severity, store: where }) => [rule, severity, where])).toEqual([
      ['missing', 'critical', 'primary'],
      ['unreachable', 'warning', 'offsite'],
    ]);
    expect(status.stores[1]).toMatchObject({
      store: 'offsite',
      used_bytes: null,
      free_bytes: null,
      problem: expect.stringContaining('offsite'),
    });
  });

  test('a backup that a wrong clock dated ahead hides nothing: neither that the next one is missing, nor that the last one is old', async () => {
    await backUp(DUE);
    await backUp(DUE + 365 * DAY);
    const { status } = await look(DUE + 40 * HOUR);
    expect(status.findings.map(({ rule, severity }) => [rule, severity])).toEqual([
      ['missing', 'critical'],
      ['doubtful', 'warning'],
    ]);
    expect(status).toMatchObject({ last_backup: '2024-12-01T02:17:00.000Z', storage_used: 2048 });
    expect(status.findings[1]?.message).toContain('The backup 20251201_021700 of mongodb is dated in the future');
  });

  test('a backup that was found bad stays a finding until it is read again and good, whatever is validated meanwhile', async () => {
    await backUp(DUE - DAY);
    await backUp(DUE);
    const validated = async (hours: number, lists: { badBackups?: string[]; goodBackups?: string[] }): Promise<void> => {
      const outcome = lists.badBackups ? ('failed' as const) : ('succeeded' as const);
      const when = new Date(DUE + hours * HOUR);
      const record = {
        step: 'backup-validation',
        outcome,
        component: 'mongodb',
        started: when,
        finished: when,
        run: { id: '1' },
        ...lists,
      };
      await writeRunRecord(store, 'shop', formatTimestamp(when), record);
    };
    await validated(1, { badBackups: ['mongodb/20241130_021700'], goodBackups: ['mongodb/20241201_021700'] });
    await validated(2, { goodBackups: ['mongodb/20241201_021700'] });
    const { status } = await look(DUE + 3 * HOUR);
    expect(status.findings).toMatchObject([
      { rule: 'verification', message: '1 backup of mongodb is damaged: 20241130_021700; the last good one is 20241201_021700.' },
    ]);
    await validated(4, { goodBackups: ['mongodb/20241130_021700'] });
    expect((await look(DUE + 5 * HOUR)).status.findings).toEqual([]);
  });

  test('without dr.yml it looks at whatever a store holds', async () => {
    await backUp(DUE);
    const { status } = await look(DUE + 40 * DAY, { config: '', store: join(scratch, 'store'), name: 'shop' });
    expect(status).toMatchObject({ status: 'healthy', next_backup: null, components: [{ component: 'mongodb' }] });
  });
});

describe('who is told', () => {
  const events = (): unknown[] => receiver.requests.map(({ body }) => (JSON.parse(body) as { event: string }).event);

  test('once when a backup is missing, again after a day, and when it is well again', async () => {
    await backUp(DUE);
    await look(DUE + HOUR);
    expect(events()).toEqual([]);
    for (const hours of [28, 29, 30]) await look(DUE + hours * HOUR);
    expect(events()).toEqual(['alert']);
    expect(JSON.parse(receiver.requests[0]?.body ?? '')).toMatchObject({
      severity: 'critical',
      title:
        'shop: The backup of mongodb that was due at 2024-12-02 02:17 UTC is missing, 4h 00m late; the last good one is 20241201_021700.',
      since: '2024-12-02T02:17:00.000Z',
      lastGoodBackup: { timestamp: '20241201_021700' },
      next: `lifeboat mongodb-backup --component mongodb --config ${join(scratch, 'dr.yml')}`,
    });
    await look(DUE + 53 * HOUR);
    expect(events()).toEqual(['alert', 'alert']);
    await backUp(DUE + 53 * HOUR);
    await look(DUE + 54 * HOUR);
    await look(DUE + 55 * HOUR);
    expect(events()).toEqual(['alert', 'alert', 'recovered']);
  });

  test('a look at one component or store tells nobody that all is well, and leaves the status of everything as it is', async () => {
    withOffsite('  users: { kind: mongodb, source: { uri: "${env:URI}" }, store: primary }\n');
    await backUp(DUE);
    await look(DUE + HOUR);
    expect(events()).toEqual(['alert']);
    const whole = await store.read('shop/status.json');
    for (const part of [{ component: 'mongodb' }, { store: 'primary' }, { store: 'offsite' }] as Record<string, string>[]) {
      const { host } = await look(DUE + 1.5 * HOUR, part);
      expect(host.log.join('\n')).toContain('no one is told, and status.json stays as it is');
    }
    expect(events()).toEqual(['alert']);
    expect(await store.read('shop/status.json')).toEqual(whole);
    expect(existsSync(join(scratch, 'offsite', 'shop', 'status.json'))).toBe(false);
  });

  test('who knew of one thing and could not be told of the next is told at the next look; the same when it is well again', async () => {
    for (const days of [4, 3, 2, 1]) await backUp(DUE - days * DAY);
    await backUp(DUE, 600_000);
    await look(DUE + HOUR);
    receiver.answers.push({ status: 400 });
    await look(DUE + 28 * HOUR);
    await look(DUE + 29 * HOUR);
    await look(DUE + 30 * HOUR);
    expect(events()).toEqual(['alert', 'alert', 'alert']);
    await backUp(DUE + 30 * HOUR);
    receiver.answers.push({ status: 400 });
    for (const hours of [31, 32, 33]) await look(DUE + hours * HOUR);
    expect(events()).toEqual(['alert', 'alert', 'alert', 'recovered', 'recovered']);
  });

  test('one who could not be reached is told at the next look', async () => {
    receiver.answers.push({ status: 400 });
    const { host, finish } = await look(DUE);
    expect(host.log.join('\n')).toContain('did not go out');
    expect(finish.error?.message).toContain('no backup at all');
    await look(DUE + HOUR);
    await look(DUE + 2 * HOUR);
    expect(receiver.requests).toHaveLength(2);
  });
});

describe('metrics', () => {
  test('the file is complete or not there, and readable by others', async () => {
    await backUp(DUE);
    const file = join(scratch, 'backup.prom');
    const umask = process.umask(0o077);
    try {
      expect((await look(DUE + HOUR, { metricsFile: file })).finish.outcome).toBe('succeeded');
    } finally {
      process.umask(umask);
    }
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readFileSync(file, 'utf8')).toContain(
      'backup_last_success_timestamp{name="shop",component="mongodb",store="primary"} 1733019420\n',
    );
    const nowhere = await look(DUE + HOUR, { metricsFile: join(scratch, 'missing', 'backup.prom') });
    expect(nowhere.finish).toMatchObject({
      outcome: 'partial',
      warnings: [expect.stringContaining('The metrics could not be written to')],
    });
    expect(existsSync(join(scratch, 'missing'))).toBe(false);
  });

  test('a push gateway that is down makes the outcome partial; its password is not in its address', async () => {
    await backUp(DUE);
    receiver.answers.push({ status: 400 });
    expect((await look(DUE + HOUR, { pushGateway: receiver.url, pushGatewayAuth: 'user:secret-word' })).finish).toMatchObject({
      outcome: 'partial',
      warnings: [expect.stringContaining('The metrics were not pushed.')],
    });
    expect(receiver.requests[0]).toMatchObject({ method: 'PUT', path: '/metrics/job/lifeboat/name@base64/c2hvcA' });
    expect(receiver.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('user:secret-word').toString('base64')}`);
    expect((await look(DUE + HOUR, { pushGateway: 'http://user:secret-word@x/' })).finish.exitCode).toBe(2);
  });
});

describeIf(!('missing' in tools), 'missing' in tools ? tools.missing : '')('judged by Prometheus', () => {
  const programs = tools as Exclude<typeof tools, { missing: string }>;

  test('promtool has nothing to say, whatever letters a name has', async () => {
    await backUp(DUE);
    const { status } = await look(DUE + HOUR);
    const odd = { ...status, name: 'a "quoted" \\ name\nof two lines' };
    for (const document of [status, odd]) {
      const {
        stdout,
        stderr,
        status: code,
      } = spawnSync(programs.promtool, ['check', 'metrics'], { input: renderMetrics(metricFamilies(document)), encoding: 'utf8' });
      expect({ out: stdout + stderr, code }).toEqual({ out: '', code: 0 });
    }
  });

  test('a real push gateway takes them, and a real Prometheus finds every name of the seeds there and in OpenMetrics', async () => {
    await backUp(DUE);
    await writeRunRecord(store, 'shop', formatTimestamp(new Date(DUE + HOUR)), {
      step: 'mongodb-backup',
      outcome: 'failed',
      component: 'mongodb',
      backup: formatTimestamp(new Date(DUE + HOUR)),
      started: new Date(DUE),
      finished: new Date(DUE),
      run: { id: '1' },
    });
    const gateway = await startPushGateway(programs.pushgateway);
    const exporter = await startHttpReceiver();
    const prometheus = await startPrometheus(programs.prometheus, [new URL(gateway.url).host, new URL(exporter.url).host]);
    try {
      const { status, finish } = await look(DUE + 2 * HOUR, { pushGateway: gateway.url, failOn: 'never' });
      expect(finish.outcome).toBe('succeeded');
      const body = renderMetrics(metricFamilies({ ...status, name: 'open' }), 'openmetrics');
      const headers = { 'content-type': 'application/openmetrics-text; version=1.0.0; charset=utf-8' };
      exporter.answers.push(...Array.from({ length: 60 }, () => ({ body, headers })));
      const names = [
        ['backup_last_success_timestamp', DUE / 1000],
        ['backup_last_verified_timestamp', DUE / 1000],
        ['backup_duration_seconds', 60],
        ['backup_size_bytes', 1024],
        ['backup_failure_total', 1],
        ['backup_expected_interval_seconds', 86_400],
        ['backup_health', 2],
      ] as const;
      const last = names[names.length - 1]?.[0] ?? '';
      for (let tries = 0; (await prometheus.query(last)).length < 2 && tries < 100; tries += 1) await delay(200);
      for (const [name, value] of names) {
        const found = await prometheus.query(`${name}{component="mongodb",store="primary"}`);
        expect({ name, found: found.map((one) => [one.labels['name'], one.value]).sort() }).toEqual({
          name,
          found: [
            ['open', value],
            ['shop', value],
          ],
        });
      }
      expect((await prometheus.query('backup_storage_used_percent{store="primary"}'))[0]?.value).toBeGreaterThan(0);
      // The alert that the seeds ask for can be written.
      expect(await prometheus.query('time() - backup_last_success_timestamp > 2 * backup_expected_interval_seconds')).toHaveLength(2);
    } finally {
      await prometheus.stop();
      await exporter.stop();
      await gateway.stop();
    }
  });
});

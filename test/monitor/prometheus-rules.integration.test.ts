// The alert rules, held to the metrics that are really exported and to the rules of `status` by a real promtool.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { createProgram } from '../../shared/cli/program.ts';
import type { Facts } from '../../shared/monitor/facts.ts';
import { metricFamilies } from '../../shared/monitor/metrics.ts';
import { ruleFile, type PrometheusRule, type RuleFile } from '../../shared/monitor/prometheus-rules.ts';
import { judge, type RuleName } from '../../shared/monitor/rules.ts';
import { statusDocument } from '../../shared/monitor/status.ts';
import { prometheusTools } from '../backends/prometheus.ts';
import { tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';
import { backup, component, DAILY, DAY, DUE, facts, GIB, HOUR, NOW, run } from './worlds.ts';

const tools = await prometheusTools();
const scratch = tempFolder('rules');
beforeAll(() => {
  mkdirSync(scratch, { recursive: true });
});
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

/** The alert of each rule of `status`; the store's has two, and where keys lie is told by `status` alone. */
const ALERTS: Record<Exclude<RuleName, 'storage' | 'key-place'>, string> = {
  'never-ran': 'BackupNeverRan',
  failure: 'BackupFailed',
  missing: 'BackupMissing',
  rpo: 'BackupObjectiveMissed',
  verification: 'BackupVerificationFailed',
  doubtful: 'BackupDoubtful',
  duration: 'BackupSlow',
  size: 'BackupSizeUnusual',
  'replication-lag': 'BackupCopyLate',
  'key-age': 'BackupKeyOld',
  unreachable: 'BackupStoreUnreachable',
};

/** Prometheus' tests begin in 1970: the time of a look is this, and every timestamp is moved along. */
const LOOK_SECONDS = 10.5 * 3600;

interface Sample {
  series: string;
  values: string;
}

/** What Prometheus would have scraped. */
function series(world: Facts, now: Date): Sample[] {
  const status = statusDocument({ name: 'shop', facts: world, findings: judge(world, now), now });
  const moved = now.getTime() / 1000 - LOOK_SECONDS;
  return metricFamilies(status).flatMap(({ name, samples }) =>
    samples.map(({ labels, value }) => ({
      series: `${name}{${Object.entries(labels)
        .map(([key, text]) => `${key}=${JSON.stringify(text)}`)
        .join(',')}}`,
      values: `${name.endsWith('_timestamp') && value !== 0 ? value - moved : value}x60`,
    })),
  );
}

/** The alerts that ought to fire, with how often. */
function expected(world: Facts, now: Date): { labels: string; value: number }[] {
  const names = judge(world, now).flatMap(({ rule, severity }) => {
    if (rule === 'key-place') return [];
    return [rule === 'storage' ? (severity === 'critical' ? 'BackupStorageVeryLow' : 'BackupStorageLow') : ALERTS[rule]];
  });
  return [...new Set(names)].sort().map((name) => ({
    labels: `{alertname="${name}"}`,
    value: names.filter((other) => other === name).length,
  }));
}

const later = (ms: number): Date => new Date(NOW.getTime() + ms);
const newest = (changes: Parameters<typeof backup>[1]): Facts => facts({ backups: [...DAILY.slice(0, -1), backup(0, changes)] });
const offsiteDown: Facts = {
  ...facts(),
  stores: [...facts().stores, { name: 'offsite', location: '/mnt/off', kind: 'folder', usedBytes: 0, space: undefined, problem: 'Gone.' }],
};
const failed = run(-HOUR, { outcome: 'failed' });

/** A world for each rule, on both sides of its border. */
const WORLDS: [what: string, world: Facts, now: Date][] = [
  ['healthy', facts({}, { total: 100, free: 20 }), NOW],
  ['failed since', facts({ runs: [failed] }), NOW],
  ['failed before', facts({ runs: [run(HOUR, { outcome: 'failed' })] }), NOW],
  ['killed without a record', facts({ leftovers: [backup(-HOUR)] }), later(8 * HOUR)],
  ['late within its grace', facts(), later(DAY)],
  ['missing', facts(), later(DAY + 4 * HOUR)],
  ['never ran', facts({ backups: [] }), NOW],
  ['nothing good yet', facts({ backups: [backup(0, { state: 'suspect' })] }), NOW],
  ['dated in the future', facts({ ahead: [backup(-DAY)] }), NOW],
  ['never verified, older than the rpo', facts({ rpoMs: HOUR, schedule: undefined, backups: [backup(0, { state: 'committed' })] }), NOW],
  ['never verified, as old as the rpo', facts({ rpoMs: 2 * HOUR, schedule: undefined, backups: [backup(0, { state: 'committed' })] }), NOW],
  ['a store for copies does not answer', offsiteDown, NOW],
  ['a copy is damaged', facts({ copies: [{ store: 'offsite', newest: DAILY[5], bad: DAILY.slice(0, 1) }] }), NOW],
  ['older than the rpo', facts({ rpoMs: HOUR, schedule: undefined }), NOW],
  ['as old as the rpo', facts({ rpoMs: 2 * HOUR, schedule: undefined }), NOW],
  ['damaged', newest({ state: 'damaged' }), NOW],
  ['doubtful', newest({ state: 'suspect', suspect: true }), NOW],
  ['twice as long', newest({ durationMs: 1_200_000 }), NOW],
  ['longer than twice', newest({ durationMs: 1_200_001 }), NOW],
  ['half as large', newest({ plainBytes: 2 * GIB }), NOW],
  ['smaller than half', newest({ plainBytes: 2 * GIB - 1 }), NOW],
  ['larger than twice', newest({ plainBytes: 8 * GIB + 1 }), NOW],
  ['copied', facts({ copies: [{ store: 'offsite', newest: DAILY[5], bad: [] }] }), NOW],
  ['not copied for long', facts({ copies: [{ store: 'offsite', newest: DAILY[4], bad: [] }] }), NOW],
  ['never copied', facts({ copies: [{ store: 'offsite', newest: undefined, bad: [] }] }), NOW],
  ['a key of 90 days', facts({ keys: [{ kind: 'escrow', id: 'ab', since: later(-90 * DAY) }] }), NOW],
  ['a key of more', facts({ keys: [{ kind: 'escrow', id: 'ab', since: later(-90 * DAY - 1000) }] }), NOW],
  ['19 % free', facts({}, { total: 100, free: 19 }), NOW],
  ['5 % free', facts({}, { total: 100, free: 5 }), NOW],
  ['4 % free', facts({}, { total: 100, free: 4 }), NOW],
  [
    'all at once',
    {
      ...facts({}, { total: 100, free: 1 }),
      components: [component({ backups: [], runs: [failed] }), component({ component: 'users', runs: [failed] })],
    },
    NOW,
  ],
];

async function printed(...args: string[]): Promise<string> {
  const file = join(scratch, 'printed.yml');
  await createProgram().parseAsync(['prometheus-rules', '--output', file, ...args], { from: 'user' });
  return readFileSync(file, 'utf8');
}

test('rules speak of nothing but metrics that are exported', () => {
  const full = facts(
    { rpoMs: DAY, copies: [{ store: 'offsite', newest: undefined, bad: [] }], keys: [{ kind: 'escrow', id: 'ab', since: NOW }] },
    { total: 9, free: 5 },
  );
  const exported = new Set(series(full, new Date(DUE + HOUR)).map(({ series: name }) => name.replace(/\{.*/, '')));
  const rules = ruleFile().groups.flatMap((group) => group.rules);
  const used = new Set(rules.flatMap(({ expr }) => expr.match(/\bbackup_[a-z_]+/g) ?? []));
  expect([...used].filter((name) => !exported.has(name))).toEqual([]);
  expect(rules.map(({ alert }) => alert)).toEqual(expect.arrayContaining(Object.values(ALERTS)));
});

test('the custom resource holds the same rules, with the labels by which the operator finds it', async () => {
  const resource = parse(
    await printed('--custom-resource', '--label', 'release=prometheus', '--namespace', 'monitoring'),
  ) as PrometheusRule;
  expect(resource).toMatchObject({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'lifeboat-backups', namespace: 'monitoring', labels: { release: 'prometheus' } },
  });
  expect(resource.spec).toEqual(parse(await printed()) as RuleFile);
});

describeIf(!('missing' in tools), 'missing' in tools ? tools.missing : '')('judged by promtool', () => {
  const { promtool } = tools as Exclude<typeof tools, { missing: string }>;
  const judged = (...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(promtool, args, { cwd: scratch, encoding: 'utf8' });
    return { said: stdout + stderr, status };
  };

  test.each([[[]], [['--name', 'a "quoted" name']]])('the file is right, with %j too', async (args) => {
    writeFileSync(join(scratch, 'checked.yml'), await printed(...args));
    expect(judged('check', 'rules', '--lint=all', '--lint-fatal', 'checked.yml')).toMatchObject({
      said: expect.stringContaining('SUCCESS: 15 rules found'),
      status: 0,
    });
  });

  describe('each alert fires exactly when status finds its problem', () => {
    test.each(WORLDS)('%s', async (_what, world, now) => {
      writeFileSync(join(scratch, 'rules.yml'), await printed());
      const tests = {
        rule_files: ['rules.yml'],
        evaluation_interval: '30m',
        tests: [
          {
            interval: '30m',
            input_series: series(world, now),
            promql_expr_test: [
              {
                expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
                eval_time: `${LOOK_SECONDS}s`,
                exp_samples: expected(world, now),
              },
            ],
          },
        ],
      };
      writeFileSync(join(scratch, 'tests.yml'), stringify(tests));
      expect(judged('test', 'rules', 'tests.yml')).toMatchObject({ said: expect.stringContaining('SUCCESS'), status: 0 });
    });
  });

  test('an alert says what, how bad and what to run next; no metrics at all is one, too', async () => {
    writeFileSync(join(scratch, 'rules.yml'), await printed());
    const world = facts({ copies: [{ store: 'offsite', newest: DAILY[4], bad: [] }] });
    const { runbook_url } = (parse(await printed()) as RuleFile).groups[0]?.rules[0]?.annotations ?? {};
    expect(runbook_url).toMatch(/operations\.md#monitoring-and-alerts$/);
    const tests = {
      rule_files: ['rules.yml'],
      evaluation_interval: '30m',
      tests: [
        {
          interval: '30m',
          input_series: series(world, NOW),
          alert_rule_test: [
            {
              alertname: 'BackupCopyLate',
              eval_time: `${LOOK_SECONDS}s`,
              exp_alerts: [
                {
                  exp_labels: { severity: 'warning', name: 'shop', component: 'mongodb', store: 'offsite' },
                  exp_annotations: {
                    summary: 'A copy of mongodb of shop is late',
                    description:
                      'A backup of mongodb of shop has had no copy in offsite for 1h 50m 0s. Run next: lifeboat copy-backups --component mongodb',
                    runbook_url,
                  },
                },
              ],
            },
          ],
        },
        {
          interval: '30m',
          input_series: [],
          promql_expr_test: [
            {
              expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
              eval_time: '2h',
              exp_samples: [{ labels: '{alertname="BackupStatusAbsent"}', value: 1 }],
            },
          ],
        },
        {
          interval: '30m',
          input_series: series(facts(), NOW),
          promql_expr_test: [
            {
              expr: 'count by (alertname) (ALERTS{alertname="BackupStatusStale",alertstate="firing"})',
              eval_time: `${LOOK_SECONDS + 4 * 3600}s`,
              exp_samples: [{ labels: '{alertname="BackupStatusStale"}', value: 1 }],
            },
          ],
        },
      ],
    };
    writeFileSync(join(scratch, 'tests.yml'), stringify(tests));
    expect(judged('test', 'rules', 'tests.yml')).toMatchObject({ said: expect.stringContaining('SUCCESS'), status: 0 });
  });
});

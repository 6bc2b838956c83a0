// Presets: the seeds' matrix of backup class by place, the two rows of their tools, and what each of them keeps of years of backups.
import { describe, expect, test } from '@jest/globals';
import { applyRules } from '../../shared/catalog/retention.ts';
import { parseDr } from '../../shared/config/load.ts';
import { NAMED_PRESETS, parsedRules, presetRules, retentionRules, rulesText, type Retention } from '../../shared/config/retention.ts';

const NOW = new Date('2024-06-30T12:00:00Z');
const HOUR = 3_600_000;
/** Ten years, four backups a day. */
const HISTORY = Array.from({ length: 10 * 365 * 4 }, (_, index) => ({ time: new Date(NOW.getTime() - index * 6 * HOUR) }));

/** How many of them a preset keeps, by reason; and how old the oldest is, in days. */
function kept(preset: string): { counts: Record<string, number>; oldestDays: number } {
  const decisions = applyRules(HISTORY, parsedRules(presetRules(preset)), NOW).filter(({ keep }) => keep);
  const counts: Record<string, number> = {};
  for (const { reasons } of decisions) for (const reason of reasons) counts[reason] = (counts[reason] ?? 0) + 1;
  const oldest = Math.min(...decisions.map(({ item }) => item.time.getTime()));
  return { counts, oldestDays: Math.round((NOW.getTime() - oldest) / (24 * HOUR)) };
}

describe('the matrix of backup class by local, remote and archive', () => {
  // Daily 7d/14d/-, weekly 4w/8w/-, monthly 3m/12m/24m, yearly 1y/2y/7y; configuration 30d/90d/1y; transaction logs 3d/7d/-.
  test.each<[string, Record<string, number>, oldestDays: number]>([
    ['data-local', { daily: 7, weekly: 4, monthly: 3, yearly: 1 }, 61],
    ['data-remote', { daily: 14, weekly: 8, monthly: 12, yearly: 2 }, 335],
    ['data-archive', { monthly: 24, yearly: 7 }, 2008],
    ['config-local', { 'within 30d': 120 }, 30],
    ['config-remote', { 'within 90d': 360 }, 90],
    ['config-archive', { 'within 1y': 1464 }, 366],
    ['log-local', { 'within 3d': 12 }, 3],
    ['log-remote', { 'within 7d': 28 }, 7],
  ])('%s', (preset, counts, oldestDays) => {
    expect(kept(preset)).toEqual({ counts, oldestDays });
  });

  test('has no further cells', () => {
    expect(Object.keys(NAMED_PRESETS)).toHaveLength(8);
  });
});

describe('presets in short', () => {
  test.each<[string, Record<string, number>]>([
    ['7-4-6', { daily: 7, weekly: 4, monthly: 6 }],
    ['14-8-12', { daily: 14, weekly: 8, monthly: 12 }],
    ['14d', { 'within 14d': 56 }],
  ])('%s', (preset, counts) => {
    expect(kept(preset).counts).toEqual(counts);
  });

  test.each(['7', '7-4', '0-4-6', '7-4-6-1', 'd', '0d', '14w', 'data-tape', 'constructor', ''])('%j is none', (preset) => {
    expect(() => presetRules(preset)).toThrow('expected daily-weekly-monthly');
  });
});

describe('rules per store', () => {
  test('the copies of one component may have another row of the matrix, by the name of their store', () => {
    const dr = parseDr(
      `version: 1
name: prod
stores: { here: { kind: folder, path: a }, there: { kind: folder, path: b }, deep: { kind: folder, path: c } }
vault: { kind: folder, path: k }
components:
  mongodb:
    kind: mongodb
    source: { uri: "mongodb://localhost" }
    store: here
    copies: [there, deep]
    retention: { preset: data-local, stores: { there: { preset: data-remote }, deep: { monthly: 24, yearly: unlimited } } }
`,
      'dr.yml',
    );
    const retention = dr.component('mongodb').retention as Retention;
    expect(['here', 'there', 'deep', undefined].map((store) => rulesText(retentionRules(retention, store)))).toEqual([
      '7 daily, 4 weekly, 3 monthly, 1 yearly',
      '14 daily, 8 weekly, 12 monthly, 2 yearly',
      '24 monthly, every yearly',
      '7 daily, 4 weekly, 3 monthly, 1 yearly',
    ]);
  });
});

// How long backups stay, as dr.yml says it: a preset, or restic's `forget` rules by name.
import { z } from 'zod';
import { isEmptyPeriod, parsePeriod, PERIOD_PATTERN, type Period } from '../step/period.ts';
import { about, entryName, plainText } from '../schema/fields.ts';

/** Presets by name: what is kept here, far away, and in the archive. */
export const NAMED_PRESETS = {
  'data-local': { daily: 7, weekly: 4, monthly: 3, yearly: 1 },
  'data-remote': { daily: 14, weekly: 8, monthly: 12, yearly: 2 },
  'data-archive': { monthly: 24, yearly: 7 },
  'config-local': { within: '30d' },
  'config-remote': { within: '90d' },
  'config-archive': { within: '1y' },
  'log-local': { within: '3d' },
  'log-remote': { within: '7d' },
} as const satisfies Record<string, WrittenRules>;

const COUNTED = { last: 'backups', hourly: 'hours', daily: 'days', weekly: 'weeks (ISO)', monthly: 'months', yearly: 'years' } as const;
const EXAMPLES = { last: 3, hourly: 24, daily: 7, weekly: 4, monthly: 6, yearly: 2 } as const;
const NUMBER = 'expected a whole number from 1 to 10000, or unlimited';

function count(rule: keyof typeof COUNTED) {
  const description =
    rule === 'last'
      ? 'Keep the last N backups, or all of them (unlimited).'
      : `Keep the last backup of each of the last N ${COUNTED[rule]}, or of all (unlimited).`;
  return about(
    z.union([z.int({ error: NUMBER }).min(1, { error: NUMBER }).max(10_000, { error: NUMBER }), z.literal('unlimited')], {
      error: NUMBER,
    }),
    {
      description,
      example: EXAMPLES[rule],
    },
  ).optional();
}

function period(description: string, example: string) {
  const expected = `expected a length of time, such as ${example} (m is minutes, mo months)`;
  return about(
    z
      .string({ error: expected })
      .regex(new RegExp(`^${PERIOD_PATTERN}$`), { error: expected, abort: true })
      .refine((text) => isPeriod(text), { error: 'expected a length of time longer than zero' }),
    { description, example },
  ).optional();
}

function isPeriod(text: string): boolean {
  try {
    return !isEmptyPeriod(parsePeriod(text));
  } catch {
    return false;
  }
}

const rulesShape = {
  preset: plainText(
    {
      description:
        'Rules in short: 7-4-6 keeps 7 daily, 4 weekly and 6 monthly backups; 14d keeps everything of the last 14 days; ' +
        `or a name: ${Object.keys(NAMED_PRESETS).join(', ')}.`,
      example: '7-4-6',
    },
    {
      pattern: String.raw`[1-9]\d{0,3}-[1-9]\d{0,3}-[1-9]\d{0,3}|[1-9]\d{0,3}d|${Object.keys(NAMED_PRESETS).join('|')}`,
      expected: 'expected daily-weekly-monthly, such as 7-4-6, or days, such as 14d, or a name, such as data-remote',
    },
  ).optional(),
  last: count('last'),
  hourly: count('hourly'),
  daily: count('daily'),
  weekly: count('weekly'),
  monthly: count('monthly'),
  yearly: count('yearly'),
  within: period('Keep everything made within this time before the newest backup.', '14d'),
  withinHourly: period('Keep the last backup of each hour within this time.', '2d'),
  withinDaily: period('Keep the last backup of each day within this time.', '30d'),
  withinWeekly: period('Keep the last backup of each ISO week within this time.', '3mo'),
  withinMonthly: period('Keep the last backup of each month within this time.', '2y'),
  withinYearly: period('Keep the last backup of each year within this time.', '10y'),
};

type Loose = Record<string, unknown>;

function checkRules(rules: Loose, say: (message: string, path?: string[]) => void): void {
  const given = Object.keys(rules).filter((key) => key !== 'stores');
  if (given.length === 0) say('expected a preset or at least one rule, such as daily: 7');
  if (rules['preset'] !== undefined && given.length > 1) say('a preset and rules exclude each other: keep one of them', ['preset']);
}

const storeRules = z.strictObject(rulesShape).superRefine((rules, context) => {
  checkRules(rules, (message, path) => {
    context.addIssue({ code: 'custom', message, ...(path ? { path } : {}) });
  });
});

/** Retention rules are OR-ed: a backup stays as long as one of them keeps it. */
export const retentionSchema = about(
  z
    .strictObject({
      ...rulesShape,
      stores: about(
        z.record(entryName('store', 40), about(storeRules, { description: 'Rules of this store.', example: { preset: 'data-remote' } }), {
          error: 'expected a mapping of store names to rules, such as { offsite: { preset: data-remote } }',
        }),
        { description: 'Other rules for some of the stores, by name.', example: { offsite: { preset: 'data-remote' } } },
      ).optional(),
    })
    .superRefine((rules, context) => {
      checkRules(rules, (message, path) => {
        context.addIssue({ code: 'custom', message, ...(path ? { path } : {}) });
      });
    }),
  { description: 'How long backups stay: a preset, or rules (a backup stays as long as one rule keeps it).', example: { preset: '7-4-6' } },
);

export type Retention = z.infer<typeof retentionSchema>;

type Count = number | 'unlimited';

/** Rules without a preset, lengths of time as text. */
export interface WrittenRules {
  last?: Count | undefined;
  hourly?: Count | undefined;
  daily?: Count | undefined;
  weekly?: Count | undefined;
  monthly?: Count | undefined;
  yearly?: Count | undefined;
  within?: string | undefined;
  withinHourly?: string | undefined;
  withinDaily?: string | undefined;
  withinWeekly?: string | undefined;
  withinMonthly?: string | undefined;
  withinYearly?: string | undefined;
}

/** Rules as the engine takes them (catalog/retention.ts). */
export type Rules = { [K in keyof WrittenRules]: Exclude<WrittenRules[K], string> | (K extends `within${string}` ? Period : 'unlimited') };

/** A preset written out as rules; rules as they are. With a store's name: the rules for that store. */
export function retentionRules(retention: Retention, store?: string): WrittenRules {
  const chosen = (store === undefined ? undefined : retention.stores?.[store]) ?? retention;
  if (chosen.preset !== undefined) return presetRules(chosen.preset);
  return Object.fromEntries(Object.entries(chosen).filter(([name]) => name !== 'stores'));
}

/** The rules of a preset. @throws Error with the expected shape */
export function presetRules(preset: string): WrittenRules {
  const parsed = rulesShape.preset.safeParse(preset);
  if (!parsed.success) throw new Error(parsed.error.issues[0]?.message);
  if (Object.hasOwn(NAMED_PRESETS, preset)) return { ...NAMED_PRESETS[preset as keyof typeof NAMED_PRESETS] };
  if (preset.endsWith('d')) return { within: preset };
  const [daily, weekly, monthly] = preset.split('-').map(Number) as [number, number, number];
  return { daily, weekly, monthly };
}

/** Rules with lengths of time read. @throws Error with the expected shape */
export function parsedRules(rules: WrittenRules): Rules {
  return Object.fromEntries(
    Object.entries(rules).map(([name, rule]: [string, number | string | undefined]) => [
      name,
      name.startsWith('within') && typeof rule === 'string' ? parsePeriod(rule) : rule,
    ]),
  );
}

/** `7 daily, 4 weekly, all within 14d` */
export function rulesText(rules: WrittenRules): string {
  return Object.entries(rules)
    .filter(([, rule]) => rule !== undefined)
    .map(([name, rule]: [string, number | string]) => {
      if (name === 'within') return `all within ${rule}`;
      if (name === 'last') return rule === 'unlimited' ? 'all' : `the last ${rule}`;
      const label = name.replace(/^within/, '').toLowerCase();
      if (name.startsWith('within')) return `${label} within ${rule}`;
      return rule === 'unlimited' ? `every ${label}` : `${rule} ${label}`;
    })
    .join(', ');
}

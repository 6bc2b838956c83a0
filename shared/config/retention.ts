// How long backups stay, as dr.yml says it: a preset, or restic's `forget` rules by name.
import { z } from 'zod';
import { about, duration, integer, plainText } from './fields.ts';

const count = (period: string, example: number) =>
  integer({ min: 1, max: 10_000 }, { description: `Keep the last backup of each of the last so many ${period}.`, example }).optional();

/** Retention rules are OR-ed: a backup stays as long as one of them keeps it. */
export const retentionSchema = about(
  z
    .strictObject({
      preset: plainText(
        {
          description: 'Rules in short: 7-4-6 keeps 7 daily, 4 weekly and 6 monthly backups; 14d keeps everything of the last 14 days.',
          example: '7-4-6',
        },
        {
          pattern: String.raw`[1-9]\d{0,3}-[1-9]\d{0,3}-[1-9]\d{0,3}|[1-9]\d{0,3}d`,
          expected: 'expected daily-weekly-monthly, such as 7-4-6, or days, such as 14d',
        },
      ).optional(),
      last: integer({ min: 1, max: 10_000 }, { description: 'Keep the last so many backups.', example: 3 }).optional(),
      hourly: count('hours', 24),
      daily: count('days', 7),
      weekly: count('weeks (ISO)', 4),
      monthly: count('months', 6),
      yearly: count('years', 2),
      within: duration({ description: 'Keep everything younger than this.', example: '14d' }).optional(),
    })
    .superRefine((rules, context) => {
      const given = Object.keys(rules);
      if (given.length === 0) context.addIssue({ code: 'custom', message: 'expected a preset or at least one rule, such as daily: 7' });
      if (rules.preset !== undefined && given.length > 1) {
        context.addIssue({ code: 'custom', path: ['preset'], message: 'a preset and rules exclude each other: keep one of them' });
      }
    }),
  { description: 'How long backups stay: a preset, or rules (a backup stays as long as one rule keeps it).', example: { preset: '7-4-6' } },
);

export type Retention = z.infer<typeof retentionSchema>;

/** A preset written out as rules; rules as they are. */
export function retentionRules(retention: Retention): Omit<Retention, 'preset'> {
  const { preset, ...rules } = retention;
  if (preset === undefined) return rules;
  if (preset.endsWith('d')) return { within: preset };
  const [daily, weekly, monthly] = preset.split('-').map(Number) as [number, number, number];
  return { daily, weekly, monthly };
}

// A retention plan as a file: written by one run, looked at by a person, carried out by another.
import { z } from 'zod';
import { UsageError } from '../step/errors.ts';
import { parseTimestamp, type Timestamp } from '../step/timestamp.ts';
import { keepsNothing } from './retention.ts';
import type { RetentionPlan } from './retention-plan.ts';

const period = z.strictObject({ years: z.int(), months: z.int(), days: z.int(), milliseconds: z.number() }).optional();
const count = z.union([z.int().min(0), z.literal('unlimited')]).optional();
const timestamp = z.string().transform((text, context): Timestamp => {
  const parsed = parseTimestamp(text);
  if (parsed === undefined) context.addIssue({ code: 'custom', message: 'expected a timestamp' });
  return parsed as Timestamp;
});

const planSchema = z.strictObject({
  formatVersion: z.literal(1),
  name: z.string(),
  created: z.iso.datetime(),
  sections: z.array(
    z.strictObject({
      component: z.string(),
      store: z.string(),
      prefix: z.string(),
      rules: z
        .strictObject({
          ...{ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count, within: period },
          ...{ withinHourly: period, withinDaily: period, withinWeekly: period, withinMonthly: period, withinYearly: period },
        })
        .refine((rules) => !keepsNothing(rules), 'rules that keep nothing'),
      policy: z.string(),
      blocked: z.string().optional(),
      backups: z.array(
        z.strictObject({
          timestamp,
          state: z.enum(['verified', 'committed', 'suspect', 'damaged', 'keyless', 'pruning']),
          bytes: z.number(),
          keep: z.boolean(),
          reasons: z.array(z.string()),
        }),
      ),
      leftovers: z.int(),
      unfinished: z.array(timestamp),
      sharedWith: z.array(z.string()).optional(),
    }),
  ),
});

/** The plan as JSON. */
export function planToJson(plan: RetentionPlan): string {
  return `${JSON.stringify(plan, null, 2)}\n`;
}

/** Reads a saved plan. That it may be carried out is told by `planDifference`. @throws UsageError */
export function planFromJson(text: string, file: string): RetentionPlan {
  try {
    return planSchema.parse(JSON.parse(text)) as RetentionPlan;
  } catch (cause) {
    const where = cause instanceof z.ZodError ? cause.issues[0]?.path.join('.') : undefined;
    throw new UsageError(`${file} is not a retention plan${where === undefined || where === '' ? '' : ` (at ${where})`}.`, {
      fix: 'Make one with apply-retention --dry-run --save-plan.',
      cause,
    });
  }
}

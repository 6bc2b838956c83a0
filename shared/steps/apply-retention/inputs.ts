// What `apply-retention` takes and puts out.
import type { DestroyingContext } from '../../step/define.ts';
import { inGroup, input } from '../../step/input.ts';
import { azureInputs, keyInputs, lockInputs, storeInputs, targetInputs } from '../../session/inputs.ts';

const RULES = {
  keepLast: 'last N backups',
  keepHourly: 'last backup of each of the last N hours that have one',
  keepDaily: 'last backup of each of the last N days that have one',
  keepWeekly: 'last backup of each of the last N ISO weeks that have one',
  keepMonthly: 'last backup of each of the last N months that have one',
  keepYearly: 'last backup of each of the last N years that have one',
} as const;

const count = (what: string) =>
  input.string({
    summary: `Keep the ${what}; "unlimited" for all.`,
    example: '7',
  });
const period = (what: string) => input.string({ summary: `Keep ${what} before the newest backup: 14d, 8w, 3mo, 1y.`, example: '14d' });

export const ruleInputs = inGroup('Rules (instead of those in dr.yml)', {
  preset: input.string({
    summary: 'Rules in short: 7-4-6 (daily-weekly-monthly), 14d (everything of the last 14 days), or a name such as data-remote.',
    example: '7-4-6',
  }),
  keepLast: count(RULES.keepLast),
  keepHourly: count(RULES.keepHourly),
  keepDaily: count(RULES.keepDaily),
  keepWeekly: count(RULES.keepWeekly),
  keepMonthly: count(RULES.keepMonthly),
  keepYearly: count(RULES.keepYearly),
  keepWithin: period('everything within this time'),
  keepWithinHourly: period('one backup per hour within this time'),
  keepWithinDaily: period('one backup per day within this time'),
  keepWithinWeekly: period('one backup per week within this time'),
  keepWithinMonthly: period('one backup per month within this time'),
  keepWithinYearly: period('one backup per year within this time'),
});

export const inputs = {
  ...targetInputs,
  ...storeInputs,
  ...lockInputs,
  store: input.string({
    summary: 'Only this store: the name of a store in dr.yml, or an address. When absent, every store that dr.yml names for the component.',
    example: 'primary',
  }),
  copies: input.list({
    summary:
      'Further stores that hold the same backups: nothing is removed there, and a key stays as long as one of them has the data. Stores under copies in dr.yml, and those that ever got copies, are known anyway.',
    example: 's3://dr-copies?region=eu-central-1',
  }),
  ...ruleInputs,
  ...keyInputs,
  plan: input.path({
    summary: 'Carry out this saved plan; it takes the place of the typed confirmation. Refused when the backups have changed since.',
    example: 'retention-plan.json',
  }),
  savePlan: input.path({
    summary: 'Write the plan to this file, for a person to look at and to carry out later.',
    example: 'retention-plan.json',
  }),
  ...azureInputs,
};

export const outputs = {
  removed: { summary: 'Number of backups removed; on a dry run, of those that would be.' },
  kept: { summary: 'Number of backups that stay.' },
  freedBytes: { summary: 'Bytes of data removed.' },
};

export type Context = DestroyingContext<typeof inputs, keyof typeof outputs>;

// The step `apply-retention`.
import { defineStep } from '../step/define.ts';
import { inGroup, input } from '../step/input.ts';
import { parsePeriod } from '../step/period.ts';
import { azureInputs, keyInputs, storeInputs, targetInputs } from './inputs.ts';

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

/** Whether a text is a rule's value; the problem as a sentence's end. */
function ruleProblem(name: string, text: string): string | undefined {
  if (!name.startsWith('keepWithin')) {
    return /^(?:[1-9]\d{0,3}|10000|unlimited)$/.test(text) ? undefined : 'expected a whole number from 1 to 10000, or unlimited';
  }
  try {
    parsePeriod(text);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

export const applyRetention = defineStep({
  name: 'apply-retention',
  title: 'Lifeboat: apply retention',
  summary: 'Removes the backups that no retention rule keeps, and says why each one goes or stays.',
  description:
    "The rules are those of restic's forget, from dr.yml or from inputs, and apply to all stores that dr.yml names for a component, each with its own rules. Only verified " +
    'backups count, one verified backup always stays, and nothing goes after a failed or suspect run. What is held, immutable or in use stays. ' +
    'Data, manifest and key go as one unit, the key last and only when no store has the data. Shows the plan first; you can save it, look at it, and carry it out as saved.',
  effects: 'destroys',
  inputs: {
    ...targetInputs,
    ...storeInputs,
    store: input.string({
      summary:
        'Only this store: the name of a store in dr.yml, or an address. When absent, every store that dr.yml names for the component.',
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
  },
  outputs: {
    removed: { summary: 'Number of backups removed; on a dry run, of those that would be.' },
    kept: { summary: 'Number of backups that stay.' },
    freedBytes: { summary: 'Bytes of data removed.' },
  },
  examples: [
    { what: 'See what would go', args: '--dry-run' },
    { what: 'Save the plan, look at it, carry it out', args: '--dry-run --save-plan plan.json' },
    { what: 'Carry out a saved plan', args: '--plan plan.json' },
    {
      what: 'Without dr.yml',
      args: '--store /mnt/backups --vault /mnt/keys --component mongodb --keep-daily 7 --keep-weekly 4 --confirm lifeboat',
    },
  ],
  check: (inputs, spell) => {
    const problems: string[] = [];
    const rules = (Object.keys(ruleInputs) as (keyof typeof ruleInputs)[]).filter((name) => inputs[name] !== undefined);
    if (inputs.preset !== undefined && rules.length > 1) {
      problems.push(
        `${spell('preset')} and ${spell(rules.find((name) => name !== 'preset') ?? 'keepLast')} exclude each other: keep one of them.`,
      );
    }
    for (const name of rules) {
      const problem = name === 'preset' ? undefined : ruleProblem(name, inputs[name] ?? '');
      if (problem !== undefined) problems.push(`${spell(name)} is ${JSON.stringify(inputs[name])}: ${problem}.`);
    }
    if (inputs.plan !== undefined && rules.length > 0) {
      problems.push(`${spell('plan')} has its rules in it: leave ${rules.map((name) => spell(name)).join(', ')} out.`);
    }
    return problems;
  },
  run: async (context) => (await import('./run/apply-retention.ts')).runApplyRetention(context),
});

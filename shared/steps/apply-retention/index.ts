// The step `apply-retention`.
import { defineStep } from '../../step/define.ts';
import { parsePeriod } from '../../step/period.ts';
import { inputs, outputs, ruleInputs } from './inputs.ts';

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
  noun: 'Retention',
  summary: 'Removes the backups that no retention rule keeps, and says why each one goes or stays.',
  description:
    "The rules are those of restic's forget, from dr.yml or from inputs, and apply to all stores that dr.yml names for a component, each with its own rules. Only verified " +
    'backups count, one verified backup always stays, and nothing goes after a failed or suspect run. What is held, immutable or in use stays. ' +
    'Data, manifest and key go as one unit, the key last and only when no store has the data. Shows the plan first; you can save it, look at it, and carry it out as saved.',
  effects: 'destroys',
  inputs,
  outputs,
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
  run: async (context) => (await import('./run.ts')).runApplyRetention(context),
});

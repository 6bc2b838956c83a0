// The step `mongodb-restore`.
import { defineStep } from '../step/define.ts';
import { renameProblems, sourceProblems, unlockProblems } from './inputs.ts';
import { inputs, outputs } from './mongodb-restore/inputs.ts';

export const mongodbRestore = defineStep({
  name: 'mongodb-restore',
  title: 'Lifeboat: MongoDB restore',
  summary: 'Restores a MongoDB backup and proves that the result equals what was backed up.',
  description:
    'Takes the latest verified backup, or the one named by timestamp, proves it to the last byte before the target is touched, restores it, ' +
    'then reads the target back and compares counts, digests and indexes of every collection. Shows the plan first and asks for the name to be typed. ' +
    'A target that is not empty is refused unless replace is true; what is replaced is backed up first, and rollback puts it back.',
  effects: 'destroys',
  componentKind: 'mongodb',
  inputs,
  outputs,
  examples: [
    { what: 'See what would happen', args: '--component mongodb --dry-run' },
    { what: 'The latest verified backup', args: '--component mongodb --confirm rocketchat-production' },
    {
      what: 'Beside the live data',
      args: '--timestamp 20241201_120000 --rename rocketchat=rocketchat_check --confirm rocketchat-production',
    },
    { what: 'Put back what the last restore replaced', args: '--rollback --replace --confirm rocketchat-production' },
  ],
  check: (inputs, spell) => {
    const problems = sourceProblems(inputs, spell);
    if (inputs.targetDatabase !== undefined && inputs.rename?.length) {
      problems.push(`${spell('targetDatabase')} and ${spell('rename')} exclude each other: use ${spell('rename')} for several names.`);
    }
    problems.push(...renameProblems(inputs.rename, spell), ...unlockProblems(inputs, spell));
    if (inputs.rollback && (inputs.rename?.length || inputs.targetDatabase !== undefined)) {
      problems.push(`${spell('rollback')} puts back a safety backup as it was: it takes no new names.`);
    }
    return problems;
  },
  run: async (context) => (await import('./run/mongodb-restore.ts')).runMongodbRestore(context),
});

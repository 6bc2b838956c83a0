// The step `mongodb-restore`.
import { defineStep } from '../step/define.ts';
import { input } from '../step/input.ts';
import {
  azureInputs,
  keyInputs,
  kubernetesInputs,
  mongodbInputs,
  renameProblems,
  sourceInputs,
  sourceProblems,
  storeInputs,
  targetInputs,
  trafficInputs,
  unlockInputs,
  unlockProblems,
} from './inputs.ts';

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
  inputs: {
    ...targetInputs,
    ...mongodbInputs,
    ...kubernetesInputs,
    ...storeInputs,
    ...sourceInputs,
    ...trafficInputs,
    ...keyInputs,
    ...unlockInputs,
    timestamp: input.timestamp({ summary: 'Which backup; the latest verified one when absent.', example: '20241201_120000' }),
    allowOlder: input.flag({
      summary: 'Take the latest verified backup even if a newer attempt failed or is suspect.',
      default: 'false',
    }),
    rehydrate: input.choice(['no', 'standard', 'high'], {
      summary:
        'Bring a backup back from the archive tier when no readable copy is left: standard takes up to 15 hours on Azure, high is faster and costs more.',
      default: 'no',
    }),
    rehydrateWait: input.duration({
      summary: 'Wait this long for that, then restore. Without it, the run only starts it; run it again later.',
      example: '16h',
    }),
    replace: input.flag({ summary: 'Allow collections that hold documents to be replaced.', default: 'false' }),
    targetDatabase: input.string({ summary: 'Restore the one database of the backup under this name, beside the live data.' }),
    rename: input.list({
      summary: 'Restore under other names: from=to, for databases or collections.',
      example: 'rocketchat=rocketchat_check',
    }),
    verifyFirst: input.flag({
      summary: 'Read the whole backup and prove it before the target is touched.',
      default: 'true',
    }),
    safetyBackup: input.flag({ summary: 'Back up what is about to be replaced, so that rollback can put it back.', default: 'true' }),
    rollback: input.flag({
      summary: 'Put back what the last restore replaced (its safety backup), or an earlier one: timestamp then names the safety backup.',
      default: 'false',
    }),
    ...azureInputs,
  },
  outputs: {
    timestamp: { summary: 'Timestamp of the backup that was restored.' },
    documents: { summary: 'Number of documents restored and proved equal.' },
    safetyTimestamp: { summary: 'Timestamp of the safety backup; empty when nothing was replaced.' },
    seconds: { summary: 'Duration in seconds, the proof included.' },
  },
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

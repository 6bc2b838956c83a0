// What `mongodb-restore` takes and puts out.
import { SAFETY_GROUP, type DestroyingContext } from '../../step/define.ts';
import { inGroup, input } from '../../step/input.ts';
import {
  azureInputs,
  keyInputs,
  kubernetesInputs,
  lockInputs,
  mongodbInputs,
  sourceInputs,
  storeInputs,
  targetInputs,
  trafficInputs,
  unlockInputs,
} from '../inputs.ts';

export const inputs = {
  ...targetInputs,
  ...mongodbInputs,
  ...kubernetesInputs,
  ...storeInputs,
  ...sourceInputs,
  ...trafficInputs,
  ...lockInputs,
  ...keyInputs,
  ...unlockInputs,
  timestamp: input.chosenTimestamp({
    summary: 'Which backup: its timestamp, or latest, which means the latest verified one and is the default.',
    example: '20241201_120000',
  }),
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
  targetDatabase: input.string({ summary: 'Restore the one database of the backup under this name, beside the live data.' }),
  rename: input.list({
    summary: 'Restore under other names: from=to, for databases or collections.',
    example: 'rocketchat=rocketchat_check',
  }),
  ...inGroup(SAFETY_GROUP, {
    replace: input.flag({ summary: 'Allow collections that hold documents to be replaced.', default: 'false' }),
    verifyFirst: input.flag({
      summary: 'Read the whole backup and prove it before the target is touched.',
      default: 'true',
    }),
    safetyBackup: input.flag({ summary: 'Back up what is about to be replaced, so that rollback can put it back.', default: 'true' }),
    rollback: input.flag({
      summary: 'Put back what the last restore replaced (its safety backup), or an earlier one: timestamp then names the safety backup.',
      default: 'false',
    }),
  }),
  ...azureInputs,
};

export const outputs = {
  timestamp: { summary: 'Timestamp of the backup that was restored.' },
  documents: { summary: 'Number of documents restored and proved equal.' },
  safetyTimestamp: { summary: 'Timestamp of the safety backup; empty when nothing was replaced.' },
  seconds: { summary: 'Duration in seconds, the proof included.' },
};

export type Context = DestroyingContext<typeof inputs, keyof typeof outputs>;

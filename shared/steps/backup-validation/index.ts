// The step `backup-validation`.
import type { Kinds } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { unlockProblems } from '../../session/inputs.ts';
import { inputsOf, outputs } from './inputs.ts';

/** `n/t` with 1 ≤ n ≤ t. */
function isSubset(text: string): boolean {
  const [, part, of] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? [];
  return Number(part) >= 1 && Number(part) <= Number(of);
}

export function backupValidation(kinds: Kinds): AnyStep {
  return defineStep({
    name: 'backup-validation',
    title: 'Lifeboat: backup validation',
    summary: 'Validates stored backups without a database: key, manifest, every stored byte, every document.',
    description:
      'Opens the key, checks the manifest against tampering and reads the stored data. Depth "stored" reads, decrypts and unpacks every byte; ' +
      '"full" also parses them and compares counts and digests of every collection. Every depth holds the metadata beside the objects against ' +
      'the manifest.',
    effects: 'reads',
    inputs: inputsOf(kinds),
    outputs,
    examples: [
      { what: 'The latest backup of every MongoDB', args: '--type mongodb' },
      { what: 'The last week', args: '--days 7 --depth stored' },
      { what: 'A large backup, a seventh every day', args: '--subset 3/7' },
      { what: 'All of them, with metadata that were lost written anew', args: '--days 3650 --depth stored --repair' },
      { what: 'Without the vault', args: '--open-with escrow --escrow-key escrow-private.pem' },
    ],
    check: (inputs, spell) => [
      ...(inputs.subset !== undefined && !isSubset(inputs.subset)
        ? [`${spell('subset')} is ${JSON.stringify(inputs.subset)}: expected a part such as 1/7.`]
        : []),
      ...(inputs.timestamp !== undefined && inputs.days !== undefined
        ? [`${spell('timestamp')} and ${spell('days')} exclude each other.`]
        : []),
      ...(inputs.days !== undefined && inputs.days < 1 ? [`${spell('days')} is ${inputs.days}: expected 1 or more.`] : []),
      ...unlockProblems(inputs, spell),
    ],
    run: async (context) => (await import('./run.ts')).runBackupValidation(context),
  });
}

// The step `import-backup`.
import type { Kinds } from '../../kinds/registry.ts';
import { defineStep, type AnyStep } from '../../step/define.ts';
import { inputsOf, outputsOf } from './inputs.ts';

export function importBackup(kinds: Kinds): AnyStep {
  const importing = kinds.all.filter(({ old }) => old !== undefined);
  const words = importing.flatMap(({ old }) => old ?? []);
  const [only] = importing;
  return defineStep({
    name: 'import-backup',
    title: 'Lifeboat: import an old backup',
    noun: 'Import',
    summary: 'Imports an old backup that another tool made, encrypted with openssl or not, as a verified backup.',
    description:
      `${words.map(({ reads }) => reads).join(' ')} Checks all of it, and stores it encrypted anew under its old timestamp, so that history is kept. ` +
      'The old file stays as it is.',
    effects: 'writes',
    ...(only === undefined || importing.length > 1 ? {} : { componentKind: only.kind }),
    inputs: inputsOf(importing),
    outputs: outputsOf(importing),
    examples: words.flatMap(({ examples }) => examples),
    check: (inputs, spell) => [
      ...(inputs.iterations < 1 || inputs.iterations > 100_000_000
        ? [`${spell('iterations')} is ${inputs.iterations}: expected 1 to 100,000,000.`]
        : []),
      ...(inputs.passphrase !== undefined && inputs.passphraseSecret !== undefined
        ? [`${spell('passphrase')} and ${spell('passphraseSecret')} exclude each other.`]
        : []),
      ...(inputs.passphraseSecret !== undefined && inputs.vault === undefined
        ? [`${spell('passphraseSecret')} names a secret, but ${spell('vault')} is not set.`]
        : []),
    ],
    run: async (context) => (await import('./run.ts')).runImportBackup(context, importing),
  });
}

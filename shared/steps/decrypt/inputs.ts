// What `decrypt` takes. It puts nothing out.
import type { StepContext } from '../../step/define.ts';
import { input } from '../../step/input.ts';
import { azureInputs, unlockInputs } from '../../session/inputs.ts';

export const inputs = {
  data: input.path({ summary: 'The data object, downloaded.', example: 'data', required: true }),
  manifest: input.path({ summary: 'The manifest.json beside it.', example: 'manifest.json' }),
  metadata: input.path({ summary: "The data object's metadata as JSON, when the manifest is lost.", example: 'metadata.json' }),
  keyFile: input.path({
    summary: 'File with the value of the secret lifeboat-<component>-<timestamp>; without manifest and metadata, with the content key.',
    example: 'key.txt',
  }),
  vault: input.string({ summary: 'The vault that has the key.', example: 'https://kv-dr-prod.vault.azure.net' }),
  escrowKey: unlockInputs.escrowKey,
  escrowPassphrase: unlockInputs.escrowPassphrase,
  output: input.path({ summary: 'Where to write the plain content (mode 0600).', example: 'dump.archive', required: true }),
  force: input.flag({ summary: 'Overwrite the output file if it exists.', default: 'false' }),
  ...azureInputs,
};

export type Context = StepContext<typeof inputs>;

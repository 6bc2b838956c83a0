// What a pipeline sees of damage: the exit code of the real command line, and the sentence it prints.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT_CODES } from '../../shared/step/errors.ts';
import { FolderStore } from '../../shared/stores/folder.ts';
import { sidecarFolder } from '../../shared/stores/folder-sidecar.ts';
import { FolderVault } from '../../shared/vaults/folder.ts';
import { SecretRecipient } from '../../shared/vaults/secret-recipient.ts';
import type { Part, Trial } from './part.ts';
import { backUp } from './small-backup.ts';

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));
const FOLDER = 'prod/mongodb/20241201_120000';

export const exitCodes: Part = {
  name: 'exit-codes',
  what: 'damage as a pipeline sees it: backup-validation ends with 4 and names the object',
  async run(trial) {
    const store = join(trial.folder, 'store');
    const vault = join(trial.folder, 'vault');
    await backUp({ store: new FolderStore(store), recipients: [new SecretRecipient(new FolderVault(vault))] });
    const validate = (): { status: number | null; said: string } => {
      const args = ['backup-validation', '--store', store, '--vault', vault, '--name', 'prod', '--component', 'mongodb'];
      const run = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...args], {
        encoding: 'utf8',
        cwd: trial.folder,
      });
      return { status: run.status, said: run.stdout + run.stderr };
    };
    const good = validate();
    trial.holds(`a good backup ends with ${String(good.status)}: ${good.said}`, good.status === EXIT_CODES.succeeded);
    const things: [name: string, path: string][] = [
      [`${FOLDER}/data`, join(store, FOLDER, 'data')],
      [`${FOLDER}/manifest.json`, join(store, FOLDER, 'manifest.json')],
      ['metadata', onlyBelow(sidecarFolder(store, `${FOLDER}/data`))],
      ['lifeboat-mongodb-20241201-120000', onlyBelow(join(vault, readdirSync(vault)[0] ?? ''))],
    ];
    for (const [name, path] of things) damaged(trial, name, path, validate);
  },
};

/** A byte in the middle is changed, the command is run, the byte is put back. */
function damaged(trial: Trial, name: string, path: string, validate: () => { status: number | null; said: string }): void {
  const bytes = readFileSync(path);
  // In a key's file the middle may be white space to a reader of JSON; its value never is.
  const value = bytes.indexOf('"value":"');
  const at = value === -1 ? bytes.length >> 1 : value + 12;
  const changed = Buffer.from(bytes);
  changed[at] = (bytes[at] as number) ^ 1;
  writeFileSync(path, changed);
  const { status, said } = validate();
  writeFileSync(path, bytes);
  trial.holds(
    `${name}: byte ${at}: exit code ${String(status)}: ${said}`,
    status === EXIT_CODES.verification && said.includes(name),
    'detected',
  );
}

function onlyBelow(folder: string): string {
  const [file, ...more] = readdirSync(folder);
  if (file === undefined || more.length > 0) throw new Error(`${folder} does not hold one file`);
  return join(folder, file);
}

// The command to run next can be pasted as it is: it repeats where things are, and never a secret.
import { expect, test } from '@jest/globals';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import type { StepContext } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import { findStep } from '../../shared/steps/index.ts';
import { completed, nextCommand } from '../../shared/pages/next-command.ts';

async function contextOf(stepName: string, inputs: Record<string, string>): Promise<StepContext> {
  const step = findStep(stepName);
  let context: StepContext | undefined;
  if (step === undefined) throw new Error(stepName);
  const run = async (given: StepContext): Promise<undefined> => {
    context = given;
  };
  const finish = await runStep({ ...step, run }, new MemoryHost({ inputs }));
  if (context === undefined) throw new Error(finish.error?.message);
  return context;
}

const PLACE = { store: 'https://a.blob.core.windows.net/b?sv=1&sig=geheim', vault: './my keys', name: 'shop', component: 'orders' };
const SECRET = { mongodbUri: 'mongodb://u:geheim@h/' };

test('a failed backup: the same call again, quoted for a shell', async () => {
  const context = await contextOf('mongodb-backup', {
    ...PLACE,
    ...SECRET,
    exclude: 'shop.tmp\nshop.*',
    verify: 'full',
    storePatience: '1m',
  });
  const line = nextCommand(context, { component: 'orders', backup: '20241201_120000', outcome: 'failed' });
  expect(line).toBe(
    "lifeboat mongodb-backup --component orders --name shop --exclude 'shop.tmp,shop.*' --store https://a.blob.core.windows.net/b --vault './my keys' --verify full",
  );
});

test('a doubtful backup: its validation, with the vault it needs', async () => {
  const context = await contextOf('mongodb-backup', { ...PLACE, ...SECRET, config: 'clusters/west/dr.yml' });
  const line = nextCommand(context, { component: 'orders', backup: '20241201_120000', outcome: 'partial' });
  expect(line).toBe(
    'lifeboat backup-validation --config clusters/west/dr.yml --component orders --name shop --store https://a.blob.core.windows.net/b ' +
      "--vault './my keys' --timestamp 20241201_120000",
  );
});

test('a failed restore: the same one as a plan, its flags included', async () => {
  const inputs = {
    ...PLACE,
    ...SECRET,
    timestamp: '20241201_120000',
    replace: 'true',
    safetyBackup: 'false',
    confirm: 'shop',
    reason: 'INC 1',
  };
  const line = nextCommand(await contextOf('mongodb-restore', inputs), { component: 'orders', outcome: 'failed' });
  expect(line).toContain('--timestamp 20241201_120000');
  expect(line).toContain('--replace');
  expect(line).toMatch(/--no-safety-backup.* --dry-run$/);
  expect(line).not.toMatch(/confirm|reason|geheim/);
});

test('a finding without a dr.yml recommends no command that could not work', async () => {
  const context = await contextOf('status', { store: './b', name: 'shop' });
  const command = 'lifeboat mongodb-backup --component orders';
  expect(completed(context, command, false)).toBeUndefined();
  expect(completed(context, command, true)).toBe(`${command} --name shop --store ./b`);
  expect(completed(context, `${command} --store offsite`, true)).toBe(`${command} --store offsite --name shop`);
});

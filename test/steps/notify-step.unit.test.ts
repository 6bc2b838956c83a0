// The step `notify` when nobody can be told: that is its one job, so it must show, and once.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { drSource } from '../../shared/session/session.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { notifyStep } from '../../shared/steps/notify/index.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-notify-step-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function notify(inputs: Record<string, string>) {
  const host = new MemoryHost({ inputs: { outcome: 'failed', ...inputs } });
  const { outcome, exitCode } = await runStep(notifyStep, host, { openConfig: drSource() });
  return { outcome, exitCode, warnings: host.log.filter((line) => line.startsWith('warning: ')) };
}

test('a channel of dr.yml whose address is missing makes it partial', async () => {
  const config = join(folder, 'dr.yml');
  const components = 'components: { db: { kind: mongodb, source: { uri: "${env:URI}" } } }';
  writeFileSync(config, ['version: 1', 'name: shop', components, 'notify: [{ kind: slack, url: "${env:NOT_THERE}" }]'].join('\n'));
  expect(await notify({ config })).toEqual({
    outcome: 'partial',
    exitCode: 3,
    warnings: [expect.stringMatching(/A channel of notify cannot be used\. .*NOT_THERE/)],
  });
});

test('a channel that does not answer makes it partial, and is told once', async () => {
  expect(await notify({ channel: 'webhook', url: 'http://127.0.0.1:1/hook' })).toEqual({
    outcome: 'partial',
    exitCode: 3,
    warnings: [expect.stringMatching(/The notification through webhook 127\.0\.0\.1:1 did not go out/)],
  });
}, 30_000);

// What every recorded run leaves behind and tells: record, audit entries, messages through a real receiver; and the steps `notify` and `audit`.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readAudit } from '../../shared/catalog/audit.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { defineStep, type Effects, type StepReturn } from '../../shared/step/define.ts';
import { UserError, VerificationError } from '../../shared/step/errors.ts';
import { input } from '../../shared/step/input.ts';
import { runStep } from '../../shared/step/run.ts';
import { parseTimestamp, type Timestamp } from '../../shared/step/timestamp.ts';
import { auditStep } from '../../shared/steps/audit/index.ts';
import { azureInputs, storeInputs, targetInputs } from '../../shared/session/inputs.ts';
import { notifyStep } from '../../shared/steps/notify/index.ts';
import { openPlace } from '../../shared/session/open.ts';
import { recorded } from '../../shared/runs/record.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { startHttpReceiver, type HttpReceiver } from '../backends/http-receiver.ts';
import { tempFolder } from '../backends/support.ts';

const scratch = tempFolder('announce');
const PASSWORD = 'hunter2-but-longer';
let receiver: HttpReceiver;
let store: FolderStore;
let now: Date;

beforeAll(async () => {
  receiver = await startHttpReceiver();
});
afterAll(async () => {
  await receiver.stop();
  rmSync(scratch, { recursive: true, force: true });
});
beforeEach(() => {
  rmSync(scratch, { recursive: true, force: true });
  // A backup and init make the folder, and no other run.
  mkdirSync(join(scratch, 'store'), { recursive: true });
  receiver.requests.length = 0;
  receiver.answers.length = 0;
  now = new Date('2024-12-01T12:00:00Z');
  store = new FolderStore(join(scratch, 'store'));
  process.env['ANNOUNCE_HOOK'] = `${receiver.url}/hook-token-9a8b7c`;
  process.env['ANNOUNCE_BEAT'] = `${receiver.url}/ping`;
  channels('- { kind: webhook, url: "${env:ANNOUNCE_HOOK}" }');
});

function channels(...lines: string[]): void {
  writeFileSync(
    join(scratch, 'dr.yml'),
    `version: 1
name: shop
stores: { primary: { kind: folder, path: ${scratch}/store } }
components: { mongodb: { kind: mongodb, source: { uri: "\${env:URI}" } } }
${lines.length > 0 ? `notify:\n${lines.map((line) => `  ${line}`).join('\n')}` : ''}
`,
  );
}

/** Runs a step whose work is the given one. */
async function run(effects: Effects, work: () => Promise<StepReturn>, inputs: Record<string, string> = {}) {
  now = new Date(now.getTime() + 60_000);
  const backup = parseTimestamp('20241201_120000') as Timestamp;
  const step = defineStep({
    name: 'test-step',
    title: 'Test',
    summary: 'Test.',
    description: 'Test.',
    effects,
    inputs: { ...targetInputs, ...storeInputs, ...azureInputs, password: input.secret({ summary: 'A password.' }) },
    outputs: {},
    examples: [],
    run: (context) =>
      recorded(context, () => openPlace(context), { component: 'mongodb', effects, ...(effects === 'writes' ? { backup } : {}) }, work),
  });
  const host = new MemoryHost({
    inputs: {
      config: join(scratch, 'dr.yml'),
      name: 'shop',
      component: 'mongodb',
      store: join(scratch, 'store'),
      password: PASSWORD,
      ...inputs,
    },
  });
  const finish = await runStep(step, host, { clock: { ...systemClock, now: () => now } });
  return { host, finish };
}
const fails = (): Promise<StepReturn> => Promise.reject(new UserError(`Login with ${PASSWORD} failed.`, { fix: 'Change it.' }));
const works = async (): Promise<StepReturn> => ({});
const bodies = (): Record<string, unknown>[] => receiver.requests.map(({ body }) => JSON.parse(body) as Record<string, unknown>);

describe('messages', () => {
  test('a failure, a second one, and the recovery', async () => {
    await run('writes', fails);
    await run('writes', fails);
    await run('writes', works);
    await run('writes', works);
    expect(bodies()).toMatchObject([
      {
        event: 'failed',
        text: 'Login with *** failed.\nChange it.',
        since: '2024-12-01T12:01:00.000Z',
        lastGoodBackup: null,
        next: expect.stringContaining('lifeboat test-step --config'),
      },
      { event: 'failed', text: 'Login with *** failed.\nChange it.\nThe run before went wrong, too.', since: '2024-12-01T12:01:00.000Z' },
      { event: 'recovered', text: 'It had gone wrong 2 times, since 2024-12-01 12:01 UTC.\nTook 0.0s.', next: null },
    ]);
  });

  test('neither messages nor records nor the audit log hold a secret or the address of a webhook', async () => {
    receiver.answers.push({ status: 500, body: 'x' }, { status: 500 }, { status: 500 });
    const { host } = await run('destroys', fails, { reason: `because of ${PASSWORD}` });
    expect(host.log.join('\n')).toContain('did not go out');
    const files = readdirSync(scratch, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && entry.name !== 'dr.yml',
    );
    const everything = [
      ...files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8')),
      ...host.log,
      ...receiver.requests.map(({ body }) => body),
    ].join('\n');
    expect(files.length).toBeGreaterThan(2);
    expect(everything).not.toContain(PASSWORD);
    expect(everything).not.toContain('hook-token-9a8b7c');
  });

  test('a channel that fails is a warning; the run stays what it was', async () => {
    channels('- { kind: webhook, url: "${env:ANNOUNCE_HOOK}", on: [succeeded] }', '- { kind: slack, url: "${env:NOT_THERE}" }');
    receiver.answers.push({ status: 403 });
    const { host, finish } = await run('writes', works);
    expect(finish).toMatchObject({ outcome: 'succeeded', exitCode: 0 });
    expect(host.log.filter((line) => line.startsWith('warning'))).toEqual([
      expect.stringContaining('refers to ${env:NOT_THERE}, but that environment variable is not set'),
      expect.stringContaining('answered 403'),
    ]);
  });

  test('a store that cannot be opened is told, too', async () => {
    const { finish } = await run('writes', works, { store: 'gopher://x/' });
    expect(finish.outcome).toBe('failed');
    expect(bodies()).toMatchObject([{ event: 'failed', text: expect.stringContaining('gopher') }]);
  });

  test('a dry run is nobody’s business', async () => {
    await run('destroys', fails, { dryRun: 'true' });
    expect(receiver.requests).toEqual([]);
    expect(readdirSync(scratch, { recursive: true })).toEqual(['dr.yml', 'store']);
  });

  test('a heartbeat beats at the start and the end of a backup, and not for a restore', async () => {
    channels('- { kind: heartbeat, url: "${env:ANNOUNCE_BEAT}" }');
    await run('destroys', works);
    expect(receiver.requests).toEqual([]);
    await run('writes', works);
    expect(receiver.requests.map(({ path }) => path.replace(/\?.*/, ''))).toEqual(['/ping/start', '/ping']);
  });
});

describe('records', () => {
  test('keep what sort of failure it was', async () => {
    await run('reads', () => Promise.reject(new VerificationError('Not equal.')));
    await run('reads', () => Promise.reject(new TypeError('x is undefined')));
    const kinds = readdirSync(join(scratch, 'store/shop/runs')).map(
      (name) => (JSON.parse(readFileSync(join(scratch, 'store/shop/runs', name), 'utf8')) as { errorKind: string }).errorKind,
    );
    expect(kinds.sort()).toEqual(['bug', 'verification']);
  });
});

describe('the audit log', () => {
  test('has who, what, when, why, of what writes and destroys; an entry before anything is touched', async () => {
    await run('reads', works);
    await run('writes', works);
    await run('destroys', fails, { reason: 'INC-4711' });
    const { entries, unreadable } = await readAudit(store, 'shop');
    expect(unreadable).toEqual([]);
    expect(entries).toMatchObject([
      { step: 'test-step', effects: 'writes', event: 'succeeded', component: 'mongodb', backup: '20241201_120000', run: 'memory' },
      { effects: 'destroys', event: 'begun', reason: 'INC-4711' },
      { effects: 'destroys', event: 'failed', reason: 'INC-4711', error: 'Login with *** failed.' },
    ]);
    const names = readdirSync(join(scratch, 'store/shop/audit')).sort();
    expect(names).toEqual(['20241201_120200-memory-1.json', '20241201_120300-memory-1.json', '20241201_120300-memory-2.json']);
    for (const name of names) expect(readFileSync(join(scratch, 'store/shop/audit', name), 'utf8')).toMatch(/^\{[^\n]*\}\n$/);
  });

  test('`audit` shows it, newest first, and names what is no entry', async () => {
    await run('destroys', works, { reason: 'drill' });
    await store.write('shop/audit/notes.txt', Buffer.from('x'));
    await store.write('shop/audit/20241201_130000-1-1.json', Buffer.from('{'));
    const host = new MemoryHost({ inputs: { config: '', store: join(scratch, 'store'), name: 'shop' } });
    const finish = await runStep(auditStep, host);
    expect(host.outputs['count']).toBe('2');
    expect(finish).toMatchObject({
      outcome: 'partial',
      warnings: ['What lies below audit/ and is no entry: shop/audit/notes.txt, shop/audit/20241201_130000-1-1.json.'],
      result: { entries: [{ event: 'succeeded' }, { event: 'begun' }] },
    });
    expect(host.summaryText).toContain('| drill |');
  });
});

describe('the step notify', () => {
  const notify = async (inputs: Record<string, string>) => {
    now = new Date(now.getTime() + 60_000);
    const host = new MemoryHost({ inputs: { config: join(scratch, 'dr.yml'), name: 'shop', ...inputs } });
    const finish = await runStep(notifyStep, host, { clock: { ...systemClock, now: () => now } });
    return { host, finish };
  };

  test('tells the worst of several jobs, and later the recovery', async () => {
    const place = { store: join(scratch, 'store') };
    await notify({ ...place, results: '{"backup":{"result":"success"},"validate":{"result":"failure"}}', message: 'Nightly.' });
    await notify({ ...place, results: 'backup=Succeeded, validate=Succeeded' });
    await notify({ ...place, outcome: 'success' });
    expect(bodies()).toMatchObject([
      { event: 'failed', title: 'pipeline of shop failed', text: 'Nightly.\nbackup: success\nvalidate: failure' },
      { event: 'recovered' },
    ]);
  });

  test('takes one channel by hand, and is partial when it fails', async () => {
    receiver.answers.push({ status: 200 }, { status: 400 });
    const by = { config: '', channel: 'slack', url: `${receiver.url}/hook-token-9a8b7c`, outcome: 'succeeded' };
    expect((await notify(by)).host.outputs).toEqual({ told: '1', event: 'succeeded' });
    const { finish, host } = await notify(by);
    expect(finish).toMatchObject({ outcome: 'partial', exitCode: 3 });
    expect(JSON.stringify(finish) + host.log.join()).not.toContain('hook-token-9a8b7c');
  });

  test('says what is missing', async () => {
    expect((await notify({})).finish.error?.message).toBe('outcome or results is missing: one of them says how it ended.');
    channels();
    expect((await notify({ outcome: 'failed' })).finish.error?.message).toBe(
      'There is no one to tell: dr.yml has no notify, and no channel was given.',
    );
  });
});

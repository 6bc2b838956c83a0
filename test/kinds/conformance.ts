// What every kind must do, through every step; its faces are in faces.unit.test.ts. A kind passes when its steps do for it what they do for all others.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { initOf } from '../../shared/cli/init.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { KINDS, type AnyKind } from '../../shared/kinds/registry.ts';
import { drSource } from '../../shared/session/session.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import { stepsWith } from '../../shared/steps/index.ts';
import { systemClock } from '../../shared/tools/clock.ts';

/** A living thing of the kind. */
export interface Thing {
  /** Its keys in dr.yml, as a flow mapping without braces. */
  keys: string;
  /** Options of `init` that say where it is. */
  options: Record<string, string>;
  /** Environment that dr.yml refers to. */
  env?: Record<string, string>;
  /** Everything in it, as something to compare. */
  content(): Promise<unknown>;
  /** Makes it different, as a day of work does. */
  change(): Promise<void>;
  /** Takes it away. */
  lose(): Promise<void>;
  close?(): Promise<void>;
}

/** Runs the suite. @param make a thing that holds something, in a folder of its own */
export function describeKind(kind: AnyKind, make: (folder: string) => Promise<Thing>): void {
  const kinds = KINDS.find(kind.kind) === undefined ? KINDS.with(kind) : KINDS;
  const steps = stepsWith(kinds);
  const restore = kind.steps.restore?.name ?? '';
  let folder: string;
  let thing: Thing;
  let original: unknown;
  // Every run has a second of its own, and none is far from the store's clock.
  let time = Date.now() - 30_000;

  async function run(name: string, inputs: Record<string, string> = {}) {
    const step = steps.find((one) => one.name === name) as AnyStep;
    time += 1000;
    const now = new Date(time);
    const component = step.inputs['component'] === undefined || name === 'status' ? {} : { component: 'thing' };
    const host = new MemoryHost({ inputs: { config: join(folder, 'dr.yml'), ...component, ...inputs } });
    const finish = await runStep(step, host, {
      clock: { ...systemClock, now: () => now },
      openConfig: drSource({ kinds, env: thing.env }),
    });
    const problem = finish.error === undefined ? '' : `${finish.error.message} ${finish.error.stack ?? ''}`;
    return { finish, problem, outputs: host.outputs, summary: host.summaryText, log: host.log };
  }

  /** Runs a step that must go well. */
  async function good(name: string, inputs: Record<string, string> = {}) {
    const ran = await run(name, inputs);
    expect({ step: name, outcome: ran.finish.outcome, problem: ran.problem, warnings: ran.finish.warnings }).toEqual({
      ...{ step: name, outcome: 'succeeded', problem: '', warnings: [] },
    });
    return ran;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'lifeboat-kind-'));
    for (const name of ['store', 'offsite', 'keys']) mkdirSync(join(folder, name), { mode: 0o700 });
    thing = await make(folder);
    original = await thing.content();
    writeFileSync(
      join(folder, 'dr.yml'),
      `version: 1\nname: shop\nstores: { primary: { kind: folder, path: ./store }, offsite: { kind: folder, path: ./offsite } }\n` +
        `vault: { kind: folder, path: ./keys }\ncomponents:\n` +
        `  thing: { kind: ${kind.kind}, ${thing.keys}, store: primary, copies: [offsite], retention: { last: 2 }, schedule: "17 2 * * *" }\n`,
    );
  });

  afterAll(async () => {
    await thing.close?.();
    rmSync(folder, { recursive: true, force: true });
  });

  test(`init writes a dr.yml for kind ${kind.kind} that backs it up`, async () => {
    const home = join(folder, 'home');
    mkdirSync(home);
    const inputs = { ...{ folder: home, kind: kind.kind, store: './backups', vault: './keys', yes: 'true' }, ...thing.options };
    expect(await runStep(initOf(kinds), new MemoryHost({ inputs }))).toMatchObject({ outcome: 'succeeded', warnings: [] });
    const host = new MemoryHost({ inputs: { config: join(home, 'dr.yml') } });
    const backup = steps.find((one) => one.name === kind.steps.backup.name) as AnyStep;
    const finish = await runStep(backup, host, { openConfig: drSource({ kinds, env: thing.env }) });
    expect([finish.outcome, finish.error, host.outputs['verified']]).toEqual(['succeeded', undefined, 'true']);
  });

  describe(`a component of kind ${kind.kind}`, () => {
    test('is checked by doctor', async () => {
      const { finish, problem } = await run('doctor');
      expect(problem).toBe('');
      const { checks } = finish.result as { checks: { name: string; status: string }[] };
      expect(checks.filter(({ status }) => status === 'failed')).toEqual([]);
      expect(checks.length).toBeGreaterThan(8);
    });

    test('is backed up, proved and copied; its items are counted', async () => {
      const { finish, outputs, summary } = await good(kind.steps.backup.name);
      const count = Number(outputs['items']);
      expect(count).toBeGreaterThan(0);
      expect(outputs).toMatchObject({ verified: 'true', [kind.unit]: String(count) });
      expect(finish.result).toMatchObject({ items: { unit: kind.unit, count }, [kind.unit]: count });
      expect(summary).toContain(`${kind.noun} backup`);
      expect(readdirSync(join(folder, 'offsite/shop/thing'))).toContain(outputs['timestamp']);
    });

    test('is part of a recovery point', async () => {
      const { finish, summary } = await good('backup-all');
      expect(finish.result).toMatchObject({
        complete: true,
        components: [{ component: 'thing', kind: kind.kind, items: { unit: kind.unit } }],
      });
      expect(summary).toContain(kind.unit);
      await good('backup-all', { type: kind.kind });
    });

    test('is listed and validated to the last byte, of its kind and of all', async () => {
      expect((await good('list-backups')).outputs['count']).toBe('3');
      for (const type of ['all', kind.kind]) expect((await good('backup-validation', { type, days: '1' })).outputs['checked']).toBe('3');
      await good('backup-validation', { depth: 'stored' });
      await good('backup-validation', { subset: '1/2' });
    });

    test('equals its backup until it changes', async () => {
      expect((await good('backup-integrity-check')).outputs['equal']).toBe('true');
      await thing.change();
      expect((await run('backup-integrity-check')).finish.exitCode).toBe(4);
    });

    test('is planned, refused without leave, restored and put back', async () => {
      const changed = await thing.content();
      expect(changed).not.toEqual(original);
      const plan = await good(restore, { dryRun: 'true' });
      expect(plan.finish.result).toMatchObject({ dryRun: true });
      expect(await thing.content()).toEqual(changed);
      expect((await run(restore, { confirm: 'shop' })).finish.outcome).toBe('refused');
      expect(await thing.content()).toEqual(changed);

      const { outputs, finish } = await good(restore, { confirm: 'shop', replace: 'true' });
      expect(await thing.content()).toEqual(original);
      expect(outputs['safetyTimestamp']).toMatch(/^\d{8}_\d{6}$/);
      expect(finish.result).toMatchObject({ verdict: 'equal', items: { unit: kind.unit, count: Number(outputs['items']) } });

      await good(restore, { confirm: 'shop', replace: 'true', rollback: 'true' });
      expect(await thing.content()).toEqual(changed);
    });

    test('comes back after it was lost', async () => {
      await thing.lose();
      const { outputs } = await good(restore, { confirm: 'shop' });
      expect(outputs['safetyTimestamp']).toBe('');
      expect(await thing.content()).toEqual(original);
    });

    test('is held, kept by its rules, and watched', async () => {
      const { outputs } = await good('hold-backup', { reason: 'a test' });
      await good('release-hold', { timestamp: outputs['timestamp'] ?? '' });
      await good('copy-backups', { days: '0' });
      await good('apply-retention', { confirm: 'shop' });
      expect((await good('list-backups')).outputs['count']).toBe('2');
      const status = await run('status', { publish: 'false', failOn: 'never', metricsFile: join(folder, 'metrics.prom') });
      expect(status.problem).toBe('');
      expect(status.finish.result).toMatchObject({ components: [expect.objectContaining({ component: 'thing' })] });
      await good('audit');
    });

    test('is not restored as another kind', async () => {
      const other = kinds.all.find((one) => one.kind !== kind.kind);
      if (!other?.steps.restore) return;
      expect((await run(other.steps.restore.name, { confirm: 'shop' })).finish).toMatchObject({ outcome: 'failed', exitCode: 2 });
    });
  });
}

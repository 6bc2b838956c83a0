// A kind of 120 lines goes through every step of the product, and nothing of the product was written for it.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { initOf } from '../../shared/cli/init.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { KINDS, type AnyKind } from '../../shared/kinds/registry.ts';
import { drSource } from '../../shared/session/session.ts';
import type { AnyStep } from '../../shared/step/define.ts';
import { runStep } from '../../shared/step/run.ts';
import { stepsWith } from '../../shared/steps/index.ts';
import { systemClock } from '../../shared/tools/clock.ts';
import { describeKind } from './conformance.ts';
import { textFile } from './text-file.ts';

describeKind(textFile, async (folder) => {
  const path = join(folder, 'notes.txt');
  writeFileSync(path, 'one\ntwo\nthree\n');
  return {
    keys: `path: ${path}`,
    options: { textFile: path },
    content: async () => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    change: async () => {
      writeFileSync(path, 'one\ntwo\nthree\nfour\n');
    },
    lose: async () => {
      rmSync(path);
    },
  };
});

describe('init, for a kind that brings no questions of its own', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lifeboat-init-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  async function init(inputs: Record<string, string>, answers: string[] = []) {
    const host = new MemoryHost({ inputs: { folder, store: './b', vault: './k', github: 'false', azure: 'false', ...inputs } });
    const asked: string[] = [];
    host.ask = async (question = '') => {
      asked.push(question);
      return answers.shift();
    };
    return { asked, finish: await runStep(initOf(KINDS.with(textFile)), host) };
  }

  test('asks for the kind, and for the key that cannot be left out', async () => {
    const { asked, finish } = await init({ name: 'shop' }, ['text-fill', 'text-file', 'my notes.txt', '']);
    expect(finish.outcome).toBe('succeeded');
    expect(asked[0]).toMatch(/^What is protected\? mongodb, .*text-file \[mongodb\]: $/);
    expect(asked[2]).toBe('The text file. Such as notes.txt\n> ');
    expect(readFileSync(join(folder, 'dr.yml'), 'utf8')).toContain('  text-file:\n    kind: text-file\n    path: "my notes.txt"\n');
  });

  test('names the option of that key where no one can answer', async () => {
    const { finish } = await init({ name: 'shop', kind: 'text-file', yes: 'true' });
    expect(finish).toMatchObject({ exitCode: 2, error: { message: 'textFile is not given.' } });
  });
});

describe('what a kind keeps outside of the store', () => {
  const outside = new Set<string>();
  const forgotten: string[] = [];
  const kind: AnyKind = {
    ...textFile,
    load: async () => ({
      ...(await (textFile as AnyKind).load()),
      outside: {
        missing: async (report) => (outside.has(sha(report)) ? [] : ['its snapshot is gone']),
        forget: async (report) => {
          forgotten.push(sha(report));
        },
      },
    }),
  };
  const sha = (report: unknown): string => (report as { sha256: string }).sha256;

  test('is asked for by a validation, and goes with the last copy of the backup', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lifeboat-outside-'));
    try {
      const kinds = KINDS.with(kind);
      for (const name of ['store', 'offsite', 'keys']) mkdirSync(join(folder, name), { mode: 0o700 });
      const path = join(folder, 'notes.txt');
      writeFileSync(
        join(folder, 'dr.yml'),
        `version: 1\nname: shop\nstores: { primary: { kind: folder, path: ./store }, offsite: { kind: folder, path: ./offsite } }\n` +
          `vault: { kind: folder, path: ./keys }\ncomponents:\n` +
          `  thing: { kind: text-file, path: ${path}, store: primary, copies: [offsite], retention: { last: 1, stores: { offsite: { last: 2 } } } }\n`,
      );
      let time = Date.now() - 20_000;
      const run = async (name: string, inputs: Record<string, string> = {}) => {
        time += 1000;
        const now = new Date(time);
        const host = new MemoryHost({ inputs: { config: join(folder, 'dr.yml'), ...inputs } });
        const step = stepsWith(kinds).find((one) => one.name === name) as AnyStep;
        return runStep(step, host, { clock: { ...systemClock, now: () => now }, openConfig: drSource({ kinds }) });
      };
      const texts = ['first\n', 'second\n', 'third\n'];
      for (const text of texts) {
        writeFileSync(path, text);
        expect((await run('text-file-backup')).outcome).toBe('succeeded');
      }
      const shas = texts.map((text) => createHash('sha256').update(text).digest('hex'));
      const lost = await run('backup-validation');
      expect(lost).toMatchObject({ exitCode: 4, error: { message: expect.stringContaining('its snapshot is gone') } });
      for (const one of shas) outside.add(one);
      expect((await run('backup-validation')).outcome).toBe('succeeded');
      // Two go from their own store; of one of them the copy stays, and what it needs with it.
      await run('apply-retention', { confirm: 'shop' });
      expect(forgotten).toEqual([shas[0]]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

test('it is small', () => {
  expect(readFileSync('test/kinds/text-file.ts', 'utf8').split('\n').length).toBeLessThanOrEqual(121);
});

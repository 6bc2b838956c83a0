// A kind of 120 lines goes through every step of the product, and nothing of the product was written for it.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
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
    content: async () => (existsSync(path) ? readFileSync(path, 'utf8') : undefined),
    change: async () => {
      writeFileSync(path, 'one\ntwo\nthree\nfour\n');
    },
    lose: async () => {
      rmSync(path);
    },
  };
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

// Runs parts of the fault campaign as tests, bounded, with a random seed that is printed.
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { runPart, type Part } from '../campaign/part.ts';

/** Enough to find what is broken for all; ./scripts/faults looks longer. */
const ROUNDS = 4;

/** The seed that LIFEBOAT_FAULTS_SEED repeats, or a new one. */
export function campaignSeed(): string {
  return process.env['LIFEBOAT_FAULTS_SEED'] ?? randomBytes(4).toString('hex');
}

/** One test per part: nothing may slip through. Set LIFEBOAT_FAULTS_SEED to repeat a run. */
export function campaignTests(parts: readonly Part[], rounds = ROUNDS): void {
  const seed = campaignSeed();
  describe(`faults, seed ${seed}`, () => {
    for (const part of parts) {
      test(`${part.name}: ${part.what}: detected or survived`, async () => {
        const row = await runPart(part, { seed, rounds, full: false });
        if (row.skipped !== undefined) process.stderr.write(`skipped: ${part.name}: ${row.skipped}\n`);
        // The seed is in the failure's text, so that the run can be repeated from a log.
        expect({ seed, slipped: row.slipped }).toEqual({ seed, slipped: [] });
      }, 600_000);
    }
  });
}

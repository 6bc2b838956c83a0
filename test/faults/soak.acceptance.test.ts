// Many runs of the built steps at once on one store, killed at random: a minute of it in four kinds of store; ./scripts/faults --soak runs longer.
import { rmSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { runSoak } from '../campaign/soak/soak.ts';
import { SITE_KINDS } from '../campaign/store-site.ts';
import { tempFolder } from '../backends/support.ts';
import { campaignSeed } from './support.ts';

const MINUTES = 0.8;

describe('backup, copy, retention, validation, restore and holds at once', () => {
  const seed = campaignSeed();

  test(`every invariant holds in each kind of store, seed ${seed}`, async () => {
    const folder = tempFolder('soak');
    try {
      const rows = await runSoak({ seed, kinds: SITE_KINDS, minutes: MINUTES, folder, hurry: true });
      for (const { kind, skipped } of rows) if (skipped !== undefined) process.stderr.write(`skipped: soak of ${kind}: ${skipped}\n`);
      // The seed is in the failure's text, so that the run can be repeated from a log.
      expect({ seed, broken: rows.flatMap(({ kind, broken }) => broken.map((what) => `${kind}: ${what}`)) }).toEqual({ seed, broken: [] });
      for (const { skipped, runs } of rows) expect(skipped !== undefined || runs > 0).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }, 600_000);
});

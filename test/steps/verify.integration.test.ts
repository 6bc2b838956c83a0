// `lifeboat verify`: backup-validation by its usual name.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { verify } from '../../shared/cli/verify.ts';
import { MemoryHost } from '../../shared/hosts/memory.ts';
import { runStep } from '../../shared/step/run.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { describeIf } from '../support/needs.ts';
import { fill, run, startBench, type Bench, type Place } from './bench.ts';

describeIf(await canBuildFerretDb(), 'needs Go 1.24 to build FerretDB')('verify', () => {
  let bench: Bench;
  let place: Place;
  beforeAll(async () => {
    bench = await startBench();
    await fill(bench.client, 'shop');
    place = bench.place();
    for (const timestamp of ['20241201_120000', '20241202_120000']) {
      expect((await run('mongodb-backup', { ...place.inputs, timestamp })).said).toBe('');
    }
  });
  afterAll(() => bench.stop());

  async function verified(more: Record<string, string>): Promise<{ depth: string; timestamps: string[]; exitCode: number }> {
    const finish = await runStep(verify, new MemoryHost({ inputs: { ...place.reading, ...more } }));
    const { depth, checked } = (finish.result ?? { depth: '', checked: [] }) as { depth: string; checked: { timestamp: string }[] };
    return { depth, timestamps: checked.map(({ timestamp }) => timestamp), exitCode: finish.exitCode };
  }

  test('takes the latest, one by its timestamp, or all; to the last document when asked', async () => {
    expect(await verified({})).toEqual({ depth: 'full', timestamps: ['20241202_120000'], exitCode: 0 });
    expect(await verified({ timestamp: '20241201_120000' })).toEqual({ depth: 'full', timestamps: ['20241201_120000'], exitCode: 0 });
    const both = ['20241201_120000', '20241202_120000'];
    expect(await verified({ all: 'true' })).toEqual({ depth: 'stored', timestamps: both, exitCode: 0 });
    expect(await verified({ all: 'true', detailed: 'true' })).toEqual({ depth: 'full', timestamps: both, exitCode: 0 });
    expect(await verified({ all: 'true', timestamp: '20241201_120000' })).toMatchObject({ exitCode: 2 });
  });
});

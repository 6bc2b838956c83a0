// ./scripts/drill as a person runs it: what it proves, what it refuses, and that it leaves nothing behind.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import type { DrillResult } from './phase-facts.ts';
import { canBuildFerretDb } from '../backends/ferretdb.ts';
import { canBuildMongoJavaServer } from '../backends/mongo-java-server.ts';
import { findProgram, tempFolder } from '../backends/support.ts';
import { describeIf } from '../support/needs.ts';

const folder = tempFolder('drill-test');
const temp = join(folder, 'temp');
const report = join(folder, 'report.html');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function drill(...args: string[]): Promise<{ exitCode: number | null; result: DrillResult; said: string }> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'test/drill/command.ts', '--size', '1MiB', '--json', ...args],
    {
      env: { ...process.env, TMPDIR: temp },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let [stdout, said] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, result: JSON.parse(stdout) as DrillResult, said };
}

const server = findProgram('mongod') !== undefined || (await canBuildFerretDb()) || canBuildMongoJavaServer();
describeIf(server, 'needs a MongoDB, Go, or Java with Maven')('the drill', () => {
  beforeEach(() => {
    rmSync(temp, { recursive: true, force: true });
    mkdirSync(temp);
  });

  test('recovers everything, says so in its table, page and JSON, and leaves nothing behind', async () => {
    const { exitCode, result, said } = await drill('--report', report);
    expect([exitCode, result.verdict]).toEqual([0, 'recovered']);
    expect(result.phases.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['mongodb-backup', 'disaster', 'mongodb-restore', 'backup-integrity-check']),
    );
    expect(said).toContain('RECOVERED in');
    expect(readFileSync(report, 'utf8')).toContain('Lifeboat drill');
    expect(readdirSync(temp)).toEqual([]);
  });

  test('refuses to restore when one stored byte was flipped, with exit code 4', async () => {
    const { exitCode, result } = await drill('--corrupt', '--report', report);
    expect([exitCode, result.verdict]).toEqual([4, 'refused']);
    expect(result.phases.find(({ name }) => name === 'mongodb-restore')).toMatchObject({
      verdict: 'failed',
      note: expect.stringContaining('is damaged') as unknown,
    });
    expect(readdirSync(temp)).toEqual([]);
  });

  test('cleans up, and fails, where the report cannot be written', async () => {
    const { exitCode, result, said } = await drill('--report', join(folder, 'no', 'such', 'folder.html'));
    expect([exitCode, result.verdict]).toEqual([1, 'recovered']);
    expect(said).toMatch(/^The report could not be written: ENOENT/m);
    expect(readdirSync(temp)).toEqual([]);
  });
});

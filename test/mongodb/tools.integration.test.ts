// mongodump and mongorestore that misbehave as real ones do once a year: nothing of it may look like a success.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { newArchiveInspector } from '../../shared/mongodb/archive-inspector.ts';
import { dumpWithTools } from '../../shared/mongodb/dump-tools.ts';
import { restoreWithTools } from '../../shared/mongodb/restore-tools.ts';
import { localProgram, type ToolProgram } from '../../shared/mongodb/tool-program.ts';
import { Secret } from '../../shared/step/input.ts';
import { UserError } from '../../shared/step/errors.ts';
import { HangError } from '../../shared/tools/process.ts';
import { mongoToolsStandIns, type DumpBehaviour, type RestoreBehaviour, type StandIns } from '../backends/mongo-tools-stand-ins.ts';

const tempDir = mkdtempSync(join(tmpdir(), 'lifeboat-tools-'));
const uri = new Secret('mongodb://root:sehr-geheim@127.0.0.1:1/');
let standIns: StandIns | undefined;

afterEach(() => {
  // The file with the connection string never outlives its run.
  expect(readdirSync(tempDir)).toEqual([]);
  for (const { args, environment } of standIns?.calls() ?? []) expect(JSON.stringify([args, environment])).not.toContain('sehr-geheim');
  standIns?.remove();
  standIns = undefined;
});
afterAll(() => {
  rmSync(tempDir, { recursive: true });
});

function program(name: 'mongodump' | 'mongorestore'): ToolProgram {
  return localProgram({ tool: { name, path: (standIns as StandIns)[name], version: '100.9.4' }, uri, tempDir });
}

async function dump(behaviour: DumpBehaviour, more: { hangMs?: number; signal?: AbortSignal; onChunk?: () => void } = {}): Promise<number> {
  standIns = mongoToolsStandIns({ mongodump: behaviour });
  const inspector = newArchiveInspector();
  const { onChunk, ...options } = more;
  const source = dumpWithTools({
    program: program('mongodump'),
    oplog: false,
    log: (line) => {
      expect(line).not.toContain('sehr-geheim');
    },
    ...options,
  });
  for await (const chunk of source) {
    await inspector.write(chunk);
    onChunk?.();
  }
  return (await inspector.end()).totals.documents;
}

async function restore(
  behaviour: RestoreBehaviour,
  more: { hangMs?: number; signal?: AbortSignal } = {},
): Promise<{ documents: number; failed: number }> {
  standIns = mongoToolsStandIns({ mongorestore: behaviour });
  const { archive } = standIns;
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += 65_536) yield archive.subarray(at, at + 65_536);
  };
  return restoreWithTools(pieces(), {
    program: program('mongorestore'),
    ...more,
  });
}

async function failure(work: Promise<unknown>): Promise<UserError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof UserError)) throw new Error('expected a UserError', { cause: thrown });
  expect(`${thrown.message} ${thrown.fix ?? ''}`).not.toContain('sehr-geheim');
  return thrown;
}

describe('mongodump', () => {
  test('that does its work passes', async () => {
    expect(await dump('honest')).toBeGreaterThan(100);
  });

  test('that exits 0 with a cut archive fails verification', async () => {
    expect((await failure(dump('cut-archive'))).kind).toBe('verification');
    standIns?.remove();
    expect((await failure(dump('twenty-bytes'))).kind).toBe('verification');
  });

  test('that fails after the whole archive fails', async () => {
    expect((await failure(dump('fails-after-archive'))).message).toMatch(/^mongodump ended with exit code 1: /);
  });

  test('that prints the connection string has it taken out of message and log', async () => {
    expect((await failure(dump('secret-on-stderr'))).message).toContain('mongodump');
  });

  test('that prints 100 MB of noise does not fill the memory', async () => {
    const before = process.memoryUsage().rss;
    await dump('noisy');
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  test('that hangs is ended, by force where needed', async () => {
    expect(await failure(dump('hangs', { hangMs: 1500 }))).toBeInstanceOf(HangError);
  });

  test('is ended by a cancel', async () => {
    const abort = new AbortController();
    const error = await failure(dump('hangs', { signal: abort.signal, onChunk: () => { abort.abort(); } })); // prettier-ignore
    expect(error.kind).toBe('cancelled');
  });

  test('that is not there is named', async () => {
    const source = dumpWithTools({
      program: localProgram({ tool: { name: 'mongodump', path: '/nowhere/mongodump', version: undefined }, uri, tempDir }),
      oplog: false,
    });
    expect((await failure(source.next())).message).toContain('/nowhere/mongodump could not be started');
  });
});

describe('mongorestore', () => {
  test('with failed documents and exit 0 reports them', async () => {
    expect((await restore('failed-documents')).failed).toBe(3);
  });

  test('that restores nothing says so', async () => {
    expect((await restore('restores-nothing')).documents).toBe(0);
  });

  test('that fails at the end, or never reads, fails', async () => {
    expect((await failure(restore('fails-after-reading'))).message).toMatch(/^mongorestore ended with exit code 1: /);
    standIns?.remove();
    expect((await failure(restore('never-reads'))).message).toMatch(/^mongorestore ended with exit code 1/);
  });

  test('that hangs is ended', async () => {
    expect(await failure(restore('hangs', { hangMs: 1500 }))).toBeInstanceOf(HangError);
  });

  test('is ended by a cancel', async () => {
    const abort = AbortSignal.timeout(1000);
    expect((await failure(restore('hangs', { signal: abort }))).kind).toBe('cancelled');
  });
});

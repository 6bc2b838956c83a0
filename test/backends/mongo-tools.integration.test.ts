// The real mongodump and mongorestore really dump and restore, and show the habits that our code must cope with.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { chatDataset } from '../dataset/dataset.ts';
import { datasetArchive } from '../dataset/dataset-archive.ts';
import { describeIf } from '../support/needs.ts';
import { canBuildFerretDb, startFerretDb, type FerretDb } from './ferretdb.ts';
import { mongoTools, type MongoTools } from './mongo-tools.ts';
import { tempFolder } from './support.ts';

const found = await mongoTools();
const reason = 'missing' in found ? found.missing : 'needs Go 1.24 or newer';

describeIf(!('missing' in found) && (await canBuildFerretDb()), reason)('the real mongodump and mongorestore', () => {
  const tools = found as MongoTools;
  const folder = tempFolder('mongo-tools');
  const config = join(folder, 'tools.yml');
  let server: FerretDb;
  let client: MongoClient;
  beforeAll(async () => {
    server = await startFerretDb({ auth: true });
    client = await new MongoClient(server.uri).connect();
    writeFileSync(config, `uri: "${server.uri}"\n`, { mode: 0o600 });
  }, 600_000);
  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  test('carry every document through an archive on standard streams', async () => {
    const documents = Array.from({ length: 5000 }, (_, n) => ({ _id: n as never, text: 'ö\r\n\u001a'.repeat(n % 50) }));
    await client.db('chat').collection('messages').insertMany(documents);
    const dump = await run(tools.mongodump, [`--config=${config}`, '--db=chat', '--archive']);
    expect(dump).toMatchObject({ code: 0 });
    expect(dump.stdout.subarray(0, 4).toString('hex')).toBe('6de29981');
    expect(dump.stderr).toMatch(/done dumping .?chat\.messages.? \(5000 documents\)/);
    await client.db('chat').dropDatabase();
    const restore = await run(tools.mongorestore, [`--config=${config}`, '--archive', '--noIndexRestore'], dump.stdout);
    expect(restore).toMatchObject({ code: 0 });
    expect(restore.stderr).toContain('5000 document(s) restored successfully. 0 document(s) failed to restore.');
    expect(
      await client
        .db('chat')
        .collection('messages')
        .find({}, { sort: { _id: 1 } })
        .toArray(),
    ).toEqual(documents);
  });

  test('mongorestore exits 0 although every document failed', async () => {
    await client
      .db('twice')
      .collection('a')
      .insertMany([{ _id: 1 as never }, { _id: 2 as never }]);
    const dump = await run(tools.mongodump, [`--config=${config}`, '--db=twice', '--archive']);
    const restore = await run(tools.mongorestore, [`--config=${config}`, '--archive', '--noIndexRestore'], dump.stdout);
    expect(restore).toMatchObject({ code: 0 });
    expect(restore.stderr).toContain('0 document(s) restored successfully. 2 document(s) failed to restore.');
  });

  test('mongodump exits 0 for a database that does not exist', async () => {
    const dump = await run(tools.mongodump, [`--config=${config}`, '--db=nowhere', '--archive']);
    expect(dump).toMatchObject({ code: 0 });
    // The header and an empty list of collections: a whole archive by its form, and worth nothing.
    expect(dump.stdout.length).toBeLessThan(200);
    expect(dump.stdout.subarray(-4).toString('hex')).toBe('ffffffff');
  });

  test('mongorestore takes the archive that the drill makes without a server, unicode names and all', async () => {
    const traits = { unicodeDatabases: false, samples: new Set(['double', 'uuid', 'int64', 'regular-expression']) };
    const archive = Buffer.concat([...datasetArchive({ size: 2 ** 20, prefix: 'made_', traits })]);
    const restore = await run(tools.mongorestore, [`--config=${config}`, '--archive', '--noIndexRestore'], archive);
    const documents = [...chatDataset({ size: 2 ** 20, traits }).batches()].reduce((sum, batch) => sum + batch.documents.length, 0);
    expect(restore.stderr).toContain(`${documents} document(s) restored successfully. 0 document(s) failed to restore.`);
    expect(restore).toMatchObject({ code: 0 });
    expect(await client.db('made_archive').collection('閉じた部屋').countDocuments()).toBeGreaterThan(0);
  });

  test('exit codes of failures pass through', async () => {
    writeFileSync(join(folder, 'wrong.yml'), `uri: "${server.uri.replace(server.password ?? '', 'wrong')}"\n`);
    const dump = await run(tools.mongodump, [`--config=${join(folder, 'wrong.yml')}`, '--archive']);
    expect(dump.code).toBe(1);
    expect(dump.stderr).toMatch(/Failed: .*[Aa]uthentication/);
    expect(dump.stdout).toHaveLength(0);
    const restore = await run(tools.mongorestore, [`--config=${config}`, '--archive'], Buffer.from('this is no archive'));
    expect(restore.code).toBe(1);
    expect(restore.stderr).toContain('stream or file does not appear to be a mongodump archive');
  });
});

async function run(command: string, args: string[], input?: Buffer): Promise<{ code: number | null; stdout: Buffer; stderr: string }> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 150_000 });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A tool that ends early breaks the pipe; its exit code is what counts.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

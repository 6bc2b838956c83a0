// Which MongoDB is taken, and that each one answers.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { UserError } from '../../shared/step/errors.ts';
import { describeIf } from '../support/needs.ts';
import { canBuildFerretDb, ferretDbProgram } from './ferretdb.ts';
import { startMongo } from './mongodb.ts';
import { findProgram, tempFolder } from './support.ts';

const path = process.env['PATH'];
afterEach(() => {
  process.env['PATH'] = path;
});

/** A PATH on which only these of the machine's programs are found. */
function onlyOnPath(...names: string[]): string {
  const bin = join(tempFolder('path'), 'bin');
  mkdirSync(bin);
  for (const name of names) symlinkSync(findProgram(name) ?? '', join(bin, name));
  process.env['PATH'] = bin;
  return bin;
}

async function ping(uri: string): Promise<unknown> {
  const client = new MongoClient(uri);
  try {
    return (await client.db('admin').command({ ping: 1 }))['ok'];
  } finally {
    await client.close();
  }
}

test('a server that was given is taken as it is', async () => {
  const server = await startMongo({ uri: 'mongodb://db.example.org/' });
  expect(server).toMatchObject({ kind: 'given', uri: 'mongodb://db.example.org/' });
  await server.stop();
});

test('a machine with nothing gets one sentence that says what to install or pass', async () => {
  onlyOnPath();
  const error: unknown = await startMongo().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).fix).toMatch(/--mongodb-uri.*mongod on PATH.*Go 1\.24.*Java 17.*Maven/);
});

describeIf(await canBuildFerretDb(), 'needs Go 1.24 or newer')('with Go', () => {
  test('FerretDB is started', async () => {
    const server = await startMongo();
    try {
      expect(await ping(server.uri)).toBe(1);
    } finally {
      await server.stop();
    }
  }, 600_000);

  test('a mongod on PATH comes first, started on 127.0.0.1 with a folder and a port of its own', async () => {
    // No real mongod can be had from the package registries: FerretDB behind mongod's arguments.
    const program = await ferretDbProgram();
    const bin = onlyOnPath('sh', 'mkdir');
    writeFileSync(
      join(bin, 'mongod'),
      `#!/bin/sh\n[ "$1 $3 $5 $7" = "--dbpath --port --bind_ip --nounixsocket" ] || exit 2\n[ -d "$2" ] || exit 3\n` +
        `exec ${program} --handler=sqlite --sqlite-url="file:$2/" --state-dir="$2" --listen-addr="$6:$4" --debug-addr=- --telemetry=disable\n`,
    );
    chmodSync(join(bin, 'mongod'), 0o755);
    const server = await startMongo();
    try {
      expect(server.kind).toBe('mongod');
      expect(await ping(server.uri)).toBe(1);
    } finally {
      await server.stop();
    }
  }, 600_000);
});

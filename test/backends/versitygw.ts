// versitygw: a real S3 server over a folder, behind a small front that makes conditional writes of one key atomic, as S3 promises them.
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Tool } from './pipeline-tools.ts';
import { cachedBuild, contentKey, findProgram, freePort, portOpen, runGo, startProcess, tempFolder } from './support.ts';

const PACKAGE = 'github.com/versity/versitygw/cmd/versitygw@v1.7.0';

export interface Versitygw {
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  stop(): Promise<void>;
}

/** The server, or why this machine cannot have it. The build takes about a minute and a half, once. */
export async function versitygw(): Promise<Tool> {
  const go = findProgram('go');
  if (go === undefined) return { missing: 'needs Go to build versitygw' };
  const env = { CGO_ENABLED: '0', GOFLAGS: '-p=2 -buildvcs=false', GOWORK: 'off' };
  try {
    const folder = await cachedBuild('versitygw', contentKey(PACKAGE), async (target) => {
      await runGo(['install', '-trimpath', '-ldflags', '-s -w', PACKAGE], { go, env: { ...env, GOBIN: target } });
    });
    return { program: join(folder, 'versitygw') };
  } catch (thrown) {
    return {
      missing: `needs versitygw, which could not be built: ${thrown instanceof Error ? thrown.message.split('\n')[0] : String(thrown)}`,
    };
  }
}

/** Starts it over an empty folder. Buckets are made through the S3 API. */
export async function startVersitygw(program: string): Promise<Versitygw> {
  const folder = tempFolder('versitygw');
  for (const name of ['iam', 'versions', 'data']) mkdirSync(join(folder, name));
  const port = await freePort();
  const accessKeyId = 'lifeboat-test';
  const secretAccessKey = 'not-a-secret-of-anybody';
  const args = ['--port', `127.0.0.1:${port}`, '--iam-dir', join(folder, 'iam'), '--quiet', 'posix'];
  const server = await startProcess(program, [...args, '--versioning-dir', join(folder, 'versions'), join(folder, 'data')], {
    env: { ...process.env, ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
    ready: () => portOpen(port),
  });
  const front = createServer(oneConditionalWriteAtATime(port));
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
    region: 'us-east-1',
    accessKeyId,
    secretAccessKey,
    async stop() {
      front.closeAllConnections();
      await new Promise((resolve) => front.close(resolve));
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Passes requests on. Writes with a condition wait until the one before them on the same key is answered. */
function oneConditionalWriteAtATime(port: number) {
  const turns = new Map<string, Promise<void>>();
  return (incoming: IncomingMessage, answer: ServerResponse): void => {
    const key = (incoming.url ?? '').split('?')[0] ?? '';
    const conditional = incoming.headers['if-none-match'] !== undefined || incoming.headers['if-match'] !== undefined;
    if (incoming.method === 'GET' || incoming.method === 'HEAD' || !conditional) {
      void pass(port, incoming, answer);
      return;
    }
    const turn = (turns.get(key) ?? Promise.resolve()).then(() => pass(port, incoming, answer));
    turns.set(key, turn);
    void turn.then(() => {
      if (turns.get(key) === turn) turns.delete(key);
    });
  };
}

function pass(port: number, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    // Its client left while it was waiting for its turn.
    if (answer.closed) {
      resolve();
      return;
    }
    answer.once('close', resolve);
    const options = { host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers: incoming.headers };
    const onward = request(options, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      response.pipe(answer);
      response.once('error', () => answer.destroy());
    });
    onward.once('error', () => answer.destroy());
    answer.once('close', () => {
      if (!answer.writableFinished) onward.destroy();
    });
    incoming.pipe(onward);
  });
}

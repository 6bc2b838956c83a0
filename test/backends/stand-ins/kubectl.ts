// A kubectl that goes wrong in one chosen way. Arguments: a file with its orders (see kubectl-stand-in.ts), a file for its calls, `--`, what kubectl got.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { end, stay } from './behaviour.ts';
import type { KubectlOrders } from '../kubectl-stand-in.ts';

const [ordersFile = '', callsFile = '', , ...args] = process.argv.slice(2);
appendFileSync(callsFile, `${JSON.stringify({ program: 'kubectl', args, environment: process.env })}\n`);
const { how, programs, pods, cutAt = 0, environment = {}, hello } = JSON.parse(readFileSync(ordersFile, 'utf8')) as KubectlOrders;
const words = args.filter((arg) => !arg.startsWith('--') || arg === '--');
const [verb, subject, name] = words;

if (how === 'no-context') fail('error: context "aks-prod" does not exist');
if (how === 'no-kubeconfig') fail('The connection to the server localhost:8080 was refused - did you specify the right host or port?');
if (how === 'unreachable') fail('Unable to connect to the server: dial tcp 10.1.2.3:443: i/o timeout');
if (how === 'logged-out') fail('error: You must be logged in to the server (Unauthorized)');
if (verb === 'get') get();
else if (verb === 'exec') await exec(args.slice(args.indexOf('--') + 1));
else fail(`error: unknown command "${verb ?? ''}"`);

function get(): never {
  if (how === 'may-not-list') {
    fail('Error from server (Forbidden): pods is forbidden: User "ci" cannot list resource "pods" in API group "" in the namespace "db"');
  }
  if (subject === 'pods') end(0, JSON.stringify({ kind: 'List', items: pods }));
  const pod = pods.find(({ metadata }) => metadata.name === name);
  if (!pod) fail(`Error from server (NotFound): pods "${name ?? ''}" not found`);
  end(0, JSON.stringify(pod));
}

async function exec([program = '', ...rest]: string[]): Promise<void> {
  if (how === 'may-not-exec') {
    fail(
      'Error from server (Forbidden): pods "mongodb-0" is forbidden: User "ci" cannot create resource "pods/exec" in API group "" in the namespace "db"',
    );
  }
  if (program === 'env') end(0, Object.entries(environment).map(([key, value]) => `${key}=${value}\n`).join('')); // prettier-ignore
  if (program === 'mongosh' && hello !== undefined) end(0, JSON.stringify(hello[subject ?? ''] ?? {}));
  if (how === 'no-program' || (program !== 'mongodump' && program !== 'mongorestore')) {
    fail(
      `error: Internal error occurred: OCI runtime exec failed: exec failed: unable to start container process: exec: "${program}": executable file not found in $PATH: unknown`,
    );
  }
  const child = spawn(join(programs, program), rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => undefined);
  if (args.includes('--stdin')) process.stdin.pipe(child.stdin);
  else child.stdin.end();
  process.once('SIGTERM', () => {
    child.kill('SIGKILL');
    process.exit(143);
  });
  let passed = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    const part = how === 'honest' || how === 'loses-exit-code' ? chunk : chunk.subarray(0, Math.max(0, cutAt - passed));
    passed += part.length;
    if (!process.stdout.write(part)) {
      child.stdout.pause();
      process.stdout.once('drain', () => child.stdout.resume());
    }
    if (how === 'hangs' && passed >= cutAt) child.stdout.pause();
  });
  if (how === 'hangs') await stay({ endsOnSigterm: true });
  const [code] = (await once(child, 'close')) as [number | null];
  if (how === 'websocket-dies')
    fail('error: error reading from error stream: next reader: websocket: close 1006 (abnormal closure): unexpected EOF');
  if (how === 'pod-evicted') fail('command terminated with exit code 137', 137);
  if (how !== 'honest' || code === 0) await finish(0);
  process.stderr.write(`command terminated with exit code ${code ?? 1}\n`);
  await finish(code ?? 1);
}

/** Ends when everything written has left. */
async function finish(code: number): Promise<never> {
  await new Promise<void>((resolve) => process.stdout.write('', () => { resolve(); })); // prettier-ignore
  process.exit(code);
}

function fail(words: string, code = 1): never {
  process.stderr.write(`${words}\n`);
  process.exit(code);
}

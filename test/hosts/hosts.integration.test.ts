import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startOnAzure, startOnGithub, startOnTerminal, type HostProcess, type StartOptions } from '../acceptance/host-process.ts';

const SCRIPT = 'test/hosts/fixtures/step-on-host.ts';
const SECRET = 'mongodb://backup:hunter2-hunter2@db.example.org';

function onHost(kind: 'github' | 'azure' | 'terminal', what: string, { env, ...options }: StartOptions = {}, mode = ''): HostProcess {
  if (kind === 'github') {
    return startOnGithub(SCRIPT, {
      ...options,
      args: ['github'],
      env: env ?? {},
      inputs: { what, 'mongodb-uri': SECRET, ...options.inputs },
    });
  }
  if (kind === 'azure') {
    return startOnAzure(SCRIPT, { ...options, args: ['azure'], env: env ?? {}, inputs: { what, mongodbUri: SECRET, ...options.inputs } });
  }
  return startOnTerminal(SCRIPT, { ...options, args: ['terminal', mode], env: { WHAT: what, LIFEBOAT_MONGODB_URI: SECRET, ...env } });
}

describe.each(['github', 'azure', 'terminal'] as const)('the %s host', (kind) => {
  test('never prints a secret but to have it masked, before anything else', async () => {
    const { log, masks, outputs, summary } = await onHost(kind, 'say', {}, 'json').result;
    const telling = /^(::add-mask::|##vso\[task\.setsecret\])/;
    const rest = log.split('\n').filter((line) => !telling.test(line));
    expect(rest.join('\n')).not.toContain('hunter2');
    expect(rest.join('\n')).toContain('info ***');
    expect(JSON.stringify(outputs)).not.toContain('hunter2');
    expect(summary).not.toContain('hunter2');
    if (kind === 'terminal') return;
    expect(masks).toEqual(expect.arrayContaining([SECRET, 'hunter2-hunter2']));
    const spoken = log.split('\n').filter((line) => line !== '' && !line.startsWith('##vso[task.debug]'));
    expect(spoken[0]).toMatch(telling);
  });

  test('leaves no secret in the environment for child processes', async () => {
    expect((await onHost(kind, 'say').result).log).toContain('variables with the secret: 0');
  });

  test('takes nothing in a log line for a command', async () => {
    const { errors, taskResult } = await onHost(kind, 'say').result;
    expect(errors).not.toContain('from data');
    if (kind === 'azure') expect(taskResult).toBe('Succeeded');
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('%s cancels, and the private folder is gone', async (signal) => {
    const { child, printed, result } = onHost(kind, 'wait', {}, 'json');
    await printed('waiting');
    child.kill(signal);
    const { exitCode, outcome, leftInTemp, log, taskResult } = await result;
    expect(log).toMatch(/cancelling and cleaning up/i);
    expect(outcome).toBe('cancelled');
    expect(exitCode).toBe(kind === 'azure' ? 0 : 130);
    if (kind === 'azure') expect(taskResult).toBe('Canceled');
    expect(leftInTemp).toEqual([]);
  });

  test('the same signal twice ends a stubborn step at once with 130', async () => {
    const { child, printed, result } = onHost(kind, 'stubborn');
    await printed('waiting');
    child.kill('SIGINT');
    // A wrapper that forwards Ctrl-C makes two of one.
    await delay(50);
    child.kill('SIGINT');
    await delay(450);
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    const { exitCode, leftInTemp } = await result;
    expect(exitCode).toBe(130);
    expect(leftInTemp).toEqual([]);
  });

  test('a SIGTERM after a SIGINT, as CI systems send them, does not cut the clean-up short', async () => {
    const { child, printed, result } = onHost(kind, 'wait');
    await printed('waiting');
    child.kill('SIGINT');
    child.kill('SIGTERM');
    expect((await result).exitCode).toBe(kind === 'azure' ? 0 : 130);
  });

  test('a failure shows what happened and what to do, once', async () => {
    const { errors, log, exitCode, taskResult } = await onHost(kind, 'fail').result;
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain('The store refused ***.');
    expect(log).toContain('Look at it.');
    if (kind === 'azure') expect([exitCode, taskResult]).toEqual([0, 'Failed']);
    else expect(exitCode).toBe(1);
  });

  test('doubts end as partial', async () => {
    const { warnings, exitCode, outcome, taskResult } = await onHost(kind, 'doubt', {}, 'json').result;
    expect(warnings.join()).toContain('One collection is empty.');
    expect(outcome).toBe('partial');
    expect(exitCode).toBe(kind === 'terminal' ? 3 : 0);
    if (kind === 'azure') expect(taskResult).toBe('SucceededWithIssues');
  });

  test('a reader that goes away, as `| head` does, ends no work half way', async () => {
    const { child, result } = onHost(kind, 'say');
    child.stdout?.destroy();
    const { exitCode, log, leftInTemp } = await result;
    // What the Azure agent would upload stays for it.
    const left = leftInTemp.filter((name) => !name.endsWith('.md'));
    expect([exitCode, log.includes('EPIPE'), left]).toEqual([0, false, []]);
  });

  test('an error that nobody catches fails the step without showing the secret, and leaves nothing behind', async () => {
    const { log, exitCode, leftInTemp } = await onHost(kind, 'crash').result;
    expect(exitCode).toBe(1);
    expect(log).toContain('nobody catches ***');
    expect(leftInTemp).toEqual([]);
  });

  test('nobody is asked where nobody can answer', async () => {
    expect((await onHost(kind, 'ask').result).log).toContain('answer: nobody there');
  });
});

test('Azure: the summary is in the log, too, folded, without secrets or commands', async () => {
  const { log } = await onHost('azure', 'say').result;
  expect(log).toMatch(/##\[group\]Summary\nSummary\n\n {2}a {4}b\n {2}uri {2}\*\*\*[^]*?##\[endgroup\]/);
});

describe('the terminal host', () => {
  test('--json prints one object on standard output and the rest on standard error', async () => {
    const { json, stdout } = await onHost('terminal', 'say', {}, 'json').result;
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(json).toMatchObject({ step: 'try-host', outcome: 'succeeded', exitCode: 0, warnings: [], result: { said: '***' } });
  });

  test('--quiet prints warnings and errors only', async () => {
    const { log } = await onHost('terminal', 'say', {}, 'quiet').result;
    expect(log.split('\n').filter((line) => line !== '')).toEqual(['warning: warning ***', 'error: error ***']);
  });

  test('has colours only when asked for or on a terminal', async () => {
    const [plain, forced, none] = await Promise.all([
      onHost('terminal', 'fail').result,
      onHost('terminal', 'fail', { env: { FORCE_COLOR: '1' } }).result,
      onHost('terminal', 'fail', { env: { NO_COLOR: '1' } }).result,
    ]);
    expect(plain.log).not.toContain('\u001B[');
    expect(forced.log).toContain('\u001B[31merror: ');
    expect(none.log).not.toContain('\u001B[');
  });

  test('shows the summary as a table', async () => {
    expect((await onHost('terminal', 'say').result).stdout).toMatch(/Summary\n\n {2}a {4}b\n {2}uri {2}\*\*\*/);
  });
});

describe('OIDC tokens and service connections', () => {
  let server: Server;
  let url: string;
  const requests: { method: string | undefined; url: string | undefined; authorization: string | undefined }[] = [];
  let answer: { status: number; body: unknown } = { status: 200, body: {} };

  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push({ method: request.method, url: request.url, authorization: request.headers.authorization });
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.close();
  });

  const connection = (scheme: string, parameters: Record<string, string>) => ({
    ENDPOINT_AUTH_conn: JSON.stringify({ scheme, parameters }),
    ENDPOINT_AUTH_SYSTEMVSSCONNECTION: JSON.stringify({ scheme: 'OAuth', parameters: { AccessToken: 'system-hunter2-token' } }),
    SYSTEM_OIDCREQUESTURI: `${url}/oidc/token`,
  });
  const federated = { serviceprincipalid: 'client-1', tenantid: 'tenant-1' };

  test('GitHub: asks for the audience and masks the token', async () => {
    answer = { status: 200, body: { value: 'header.payload.signature' } };
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?v=1`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token' };
    const { log, masks } = await onHost('github', 'token', { env }).result;
    expect(log).toContain('token length 24');
    expect(masks).toContain('header.payload.signature');
    expect(requests.at(-1)).toEqual({
      method: 'GET',
      url: '/token?v=1&audience=api%3A%2F%2FAzureADTokenExchange',
      authorization: 'Bearer request-token',
    });
  });

  test('GitHub: without the permission says which one is missing', async () => {
    const { errors, exitCode } = await onHost('github', 'token').result;
    expect(errors[0]).toContain('id-token: write');
    expect(exitCode).toBe(1);
  });

  test('Azure: posts to the request URI for the connection and masks the token', async () => {
    answer = { status: 200, body: { oidcToken: 'header.payload.signature' } };
    const env = connection('WorkloadIdentityFederation', federated);
    const { log, masks } = await onHost('azure', 'token', { env, inputs: { connection: 'conn' } }).result;
    expect(log).toContain('token length 24');
    expect(masks).toEqual(expect.arrayContaining(['system-hunter2-token', 'header.payload.signature']));
    expect(requests.at(-1)).toEqual({
      method: 'POST',
      url: '/oidc/token?api-version=7.1&serviceConnectionId=conn',
      authorization: 'Bearer system-hunter2-token',
    });
  });

  test('Azure: a refused token and a foreign audience are told apart', async () => {
    answer = { status: 403, body: { message: 'no' } };
    const env = connection('WorkloadIdentityFederation', federated);
    const refused = await onHost('azure', 'token', { env, inputs: { connection: 'conn' } }).result;
    expect(refused.errors[0]).toContain('HTTP 403');
    const foreign = await onHost('azure', 'token', { env, inputs: { connection: 'conn', audience: 'sts.amazonaws.com' } }).result;
    expect(foreign.errors[0]).toContain('not for sts.amazonaws.com');
  });

  test('Azure: reads a federated connection, a service principal and a managed identity', async () => {
    const tell = async (scheme: string, parameters: Record<string, string>) =>
      (await onHost('azure', 'connection', { env: connection(scheme, parameters), inputs: { connection: 'conn' } }).result).log;
    expect(await tell('WorkloadIdentityFederation', federated)).toContain('connection client-1 tenant-1 secret=none');
    const principal = await tell('ServicePrincipal', { ...federated, serviceprincipalkey: 'sp-hunter2' });
    expect(principal).toContain('connection client-1 tenant-1 secret=***');
    expect(await tell('ManagedServiceIdentity', {})).toContain('connection managed');
  });

  test('Azure: an unknown connection and one with a certificate are refused with what to do', async () => {
    const unknown = await onHost('azure', 'connection', { inputs: { connection: 'nowhere' } }).result;
    expect(unknown.errors[0]).toContain('Service connection nowhere is not available');
    const certificate = connection('ServicePrincipal', { ...federated, serviceprincipalcertificate: 'pem' });
    const refused = await onHost('azure', 'connection', { env: certificate, inputs: { connection: 'conn' } }).result;
    expect(refused.errors[0]).toContain('cannot be used here');
  });

  test('Azure: a variable that is not defined is named', async () => {
    const { errors, taskResult } = await onHost('azure', 'say', { inputs: { mongodbUri: '$(MONGODB_URI)' } }).result;
    expect(errors[0]).toContain('mongodbUri contains $(MONGODB_URI): this pipeline has no variable MONGODB_URI.');
    expect(taskResult).toBe('Failed');
    const inside = await onHost('azure', 'say', { inputs: { mongodbUri: 'mongodb://root:$(DB_PASSWORD)@db/?x=hunter2' } }).result;
    expect(inside.errors[0]).toContain('mongodbUri contains $(DB_PASSWORD): this pipeline has no variable DB_PASSWORD.');
    expect(inside.log).not.toContain('hunter2');
    // Any other text may hold what looks like a macro.
    const sentence = await onHost('azure', 'say', { inputs: { connection: 'because of $(something)' } }).result;
    expect(sentence.taskResult).toBe('Succeeded');
  });
});

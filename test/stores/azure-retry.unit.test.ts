// When a request to Azure is sent again, and when not.
import { expect, test } from '@jest/globals';
import { CancelledError } from '../../shared/step/errors.ts';
import { azureError, type AzurePlace } from '../../shared/stores/azure/errors.ts';
import { retrying } from '../../shared/stores/azure/retry.ts';

const answer = (status: number, code: string, headers: Record<string, string> = {}): Error =>
  Object.assign(new Error(code), { statusCode: status, code, response: { headers: new Headers(headers) } });
const place: AzurePlace = { account: 'stdr', container: 'backups', url: 'https://stdr.blob.core.windows.net/backups', access: 'token' };

/** Runs a request that fails as told, and returns the waits in between and the outcome. */
async function run(failures: Error[]): Promise<{ waits: number[]; outcome: unknown }> {
  const waits: number[] = [];
  const outcome: unknown = await retrying(
    async (_signal, attempt) => {
      const failure = failures[attempt - 1];
      if (failure) throw failure;
      return 'done';
    },
    { timeoutMs: 1000, random: () => 1, sleep: async (milliseconds) => waits.push(milliseconds) },
  ).catch((thrown: unknown) => thrown);
  return { waits, outcome };
}

test('waits as long as Retry-After says, in seconds, milliseconds or as a date', async () => {
  const date = new Date(Date.now() + 25_000).toUTCString();
  const { waits, outcome } = await run([
    answer(503, 'ServerBusy', { 'retry-after': '3' }),
    answer(429, 'TooManyRequests', { 'retry-after-ms': '250' }),
    answer(503, 'ServerBusy', { 'retry-after': date }),
  ]);
  expect(outcome).toBe('done');
  expect(waits.slice(0, 2)).toEqual([3000, 250]);
  expect(waits[2]).toBeGreaterThan(10_000);
  expect(waits[2]).toBeLessThanOrEqual(25_000);
});

test('does not wait for an hour: a long Retry-After is reported instead', async () => {
  const busy = answer(503, 'ServerBusy', { 'retry-after': '3600' });
  expect(await run([busy])).toEqual({ waits: [], outcome: busy });
});

test('doubles its own delays and gives up after six attempts', async () => {
  const busy = answer(500, 'InternalError');
  expect(await run(Array<Error>(10).fill(busy))).toEqual({ waits: [400, 800, 1600, 3200, 6400], outcome: busy });
});

test('sends again what was damaged on the way, cut off or reset', async () => {
  const reset = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
  expect((await run([answer(400, 'Md5Mismatch'), reset])).outcome).toBe('done');
});

test('sends again what the SDK calls aborted although nobody did: the connection broke in the middle of an answer', async () => {
  const aborted = Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' });
  expect((await run([aborted])).outcome).toBe('done');
});

test('does not repeat what cannot change: refusals, a wrong certificate, a bug', async () => {
  const certificate = Object.assign(new Error('x'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  for (const failure of [
    answer(403, 'AuthorizationPermissionMismatch'),
    answer(409, 'BlobAlreadyExists'),
    certificate,
    new TypeError('x'),
  ]) {
    expect(await run([failure])).toEqual({ waits: [], outcome: failure });
  }
});

test('gives up a connection that hangs and sends the request again', async () => {
  let attempts = 0;
  const result = await retrying(
    async (signal) => {
      attempts += 1;
      if (attempts === 1) {
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(new DOMException('aborted', 'AbortError'));
          });
        });
      }
      return attempts;
    },
    { timeoutMs: 20, sleep: async () => undefined },
  );
  expect(result).toBe(2);
});

test('a cancel ends the wait', async () => {
  const cancel = new AbortController();
  setTimeout(() => {
    cancel.abort();
  }, 10);
  const failing = async (): Promise<never> => {
    throw answer(503, 'ServerBusy', { 'retry-after': '60' });
  };
  await expect(retrying(failing, { timeoutMs: 1000, signal: cancel.signal })).rejects.toThrow(CancelledError);
});

test.each([
  [answer(403, 'AuthorizationPermissionMismatch'), /may not do this in container backups of stdr/, /Storage Blob Data Contributor/],
  [answer(404, 'ContainerNotFound'), /has no container "backups"/, /az storage container create --account-name stdr --name backups/],
  [
    Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }),
    /stdr\.blob\.core\.windows\.net\) cannot be resolved/,
    /Check the account name/,
  ],
  [answer(503, 'ServerBusy'), /is overloaded/, /later/],
  [answer(409, 'BlobArchived'), /archive tier/, /set-tier/],
  [
    answer(403, 'AuthenticationFailed', { date: new Date(Date.now() - 1_200_000).toUTCString() }),
    /clock is 20 minutes ahead/,
    /Set the clock/,
  ],
  [answer(403, 'AuthenticationFailed'), /did not accept the token/, /tenant/],
  [answer(409, 'BlobImmutableDueToPolicy'), /immutability policy/, /run out/],
])('explains %s with cause and fix', (thrown, message, fix) => {
  const error = azureError('Reading data', thrown, place);
  expect(error.message).toMatch(message);
  expect(error.fix).toMatch(fix);
  expect(error.cause).toBe(thrown);
});

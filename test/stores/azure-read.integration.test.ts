// A server that says what it has and then falls silent.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, jest, test } from '@jest/globals';
import { openStore } from '../../shared/stores/open.ts';

afterEach(() => {
  jest.useRealTimers();
});

test('a connection that hangs in the middle of a small object is given up within two minutes, and the object asked for again', async () => {
  const answers: ServerResponse[] = [];
  let asked: () => void = () => undefined;
  const server = createServer((_request, response) => {
    answers.push(response);
    response.writeHead(200, { 'content-length': '10', etag: '"1"', 'last-modified': new Date().toUTCString() });
    if (answers.length === 1) response.write('half ');
    else response.end('all of it.');
    asked();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const store = await openStore(`http://127.0.0.1:${(server.address() as AddressInfo).port}/account/backups?sig=x`);
    const first = new Promise<void>((resolve) => (asked = resolve));
    jest.useFakeTimers({ doNotFake: ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] });
    const reading = store.read('status.json');
    await first;
    jest.advanceTimersByTime(120_000);
    expect(Buffer.from((await reading) as Uint8Array).toString()).toBe('all of it.');
    expect(answers).toHaveLength(2);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

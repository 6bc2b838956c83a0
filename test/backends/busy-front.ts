// An http front of an S3 server that can be busy for a while: then it answers 503 SlowDown, as the service does, and passes nothing on.
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface BusyFront {
  /** `http://127.0.0.1:<port>`: replaces the origin of the server behind it. */
  origin: string;
  /** Is busy from now on for so many milliseconds. */
  away(milliseconds: number): void;
  stop(): Promise<void>;
}

/** Starts it on a port of its own. @param target the origin behind it, http */
export async function startBusyFront(target: string): Promise<BusyFront> {
  const { hostname, port } = new URL(target);
  let busyUntil = 0;
  const server = createServer((incoming, answer) => {
    if (performance.now() < busyUntil) refuse(incoming, answer);
    else pass({ host: hostname, port: Number(port) }, incoming, answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    away(milliseconds) {
      busyUntil = performance.now() + milliseconds;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(incoming: IncomingMessage, answer: ServerResponse): void {
  // The body is read first, as a real front end does: a client that is still sending would see a broken pipe instead.
  incoming.resume().once('end', () => {
    answer.writeHead(503, { 'content-type': 'application/xml' });
    answer.end('<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>');
  });
}

function pass(to: { host: string; port: number }, incoming: IncomingMessage, answer: ServerResponse): void {
  // The signature covers the host that the client meant, so all headers go on as they are.
  const onward = request({ ...to, method: incoming.method, path: incoming.url, headers: incoming.headers }, (response) => {
    answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
    response.pipe(answer);
    response.once('error', () => answer.destroy());
  });
  onward.once('error', () => answer.destroy());
  answer.once('close', () => {
    if (!answer.writableFinished) onward.destroy();
  });
  incoming.pipe(onward);
}

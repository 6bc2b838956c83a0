// A TCP proxy in front of any server, which can be away: connections break and new ones are refused, until it is back on the same port. Or it
// falls silent: connections stay, new ones are taken, and no byte passes any more.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './support.ts';

export interface OutageProxy {
  port: number;
  /** Breaks all connections and refuses new ones. */
  down(): Promise<void>;
  /** Lets nothing pass any more; `up` breaks what was connected. */
  silence(): void;
  /** Harmless when it is up already. */
  up(): Promise<void>;
  /** Goes away now, and comes back by itself. */
  outage(milliseconds: number): void;
  /** Connections taken so far. */
  connections(): number;
  stop(): Promise<void>;
}

/** Starts it on a port of its own. @param target the server's port on 127.0.0.1 */
export async function startOutageProxy(target: number): Promise<OutageProxy> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let silent = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket)).on('error', () => undefined);
  };
  const newServer = (): Server =>
    createServer({ noDelay: true }, (client) => {
      connections += 1;
      // Small messages go on at once: SFTP waits for each answer, and a proxy that gathers them costs 40 ms every time.
      const server = connect({ port: target, host: '127.0.0.1', noDelay: true });
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        keep(one);
        if (!silent) one.pipe(other);
        one.once('close', () => other.destroy());
      }
    });
  let server: Server | undefined;
  let timer: NodeJS.Timeout | undefined;
  const listen = async (port: number): Promise<void> => {
    const started = newServer();
    await new Promise<void>((resolve, reject) => started.once('error', reject).listen(port, '127.0.0.1', resolve));
    server = started;
  };
  // Not any port: while it is away, nobody else may be given this one by chance.
  const port = await freePort();
  await listen(port);
  const down = async (): Promise<void> => {
    clearTimeout(timer);
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (closing) await new Promise((resolve) => closing.close(resolve));
  };
  const up = async (): Promise<void> => {
    clearTimeout(timer);
    if (silent) await down();
    silent = false;
    if (!server) await listen(port);
  };
  return {
    port,
    down,
    silence() {
      silent = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    up,
    outage(milliseconds) {
      const away = down();
      timer = setTimeout(() => void away.then(up), milliseconds);
    },
    connections: () => connections,
    async stop() {
      await down();
    },
  };
}

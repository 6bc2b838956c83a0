// A company's HTTP proxy: CONNECT tunnels and absolute addresses, with a password where one is wanted. It resolves names that only it knows.
import { createServer, request, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

export interface ConnectProxy {
  /** With user and password where they are wanted. */
  url: string;
  /** Host and port of what was asked for, oldest first. */
  asked: string[];
  /** How many were turned away for a wrong or missing password. */
  refused: number;
  stop(): Promise<void>;
}

export interface ConnectProxyOptions {
  credentials?: { user: string; password: string };
  /** Names that lead to this machine, as behind a proxy that alone reaches the outside. */
  here?: readonly string[];
}

export async function startConnectProxy({ credentials, here = [] }: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const sockets = new Set<Socket>();
  const proxy = { asked: [] as string[], refused: 0 };
  const expected = credentials && `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
  const isLetIn = (incoming: IncomingMessage): boolean => {
    if (expected === undefined || incoming.headers['proxy-authorization'] === expected) return true;
    proxy.refused += 1;
    return false;
  };
  const reached = (host: string): string => (here.includes(host) ? '127.0.0.1' : host);
  const server = createServer((incoming, answer) => {
    if (!isLetIn(incoming)) {
      answer.writeHead(407).end();
      return;
    }
    const { hostname, port, pathname, search, host } = new URL(incoming.url ?? '');
    proxy.asked.push(host);
    const headers = { ...incoming.headers };
    delete headers['proxy-authorization'];
    const options = { host: reached(hostname), port: port || 80, method: incoming.method, path: pathname + search, headers };
    const onward = request(options, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      response.pipe(answer);
    });
    onward.once('error', () => answer.destroy());
    incoming.pipe(onward);
  });
  server.on('connect', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    sockets.add(socket.on('error', () => undefined));
    if (!isLetIn(incoming)) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const target = incoming.url ?? '';
    proxy.asked.push(target);
    const [host = '', port = ''] = target.split(/:(?=\d+$)/);
    const onward = connect(Number(port), reached(host), () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    sockets.add(onward.on('error', () => socket.destroy()));
  });
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const user = credentials ? `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@` : '';
  return Object.assign(proxy, {
    url: `http://${user}127.0.0.1:${port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

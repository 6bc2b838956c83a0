// A MongoDB that forbids some commands, for servers that know no roles: it stands before a real one and answers these itself.
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { BSON } from 'mongodb';

const HEADER = 16;
const OP_MSG = 2013;
/** Flags and the kind of the only section that drivers send commands in. */
const BODY_AT = HEADER + 5;

export interface RefusingMongo {
  /** The real server's address, by way of this one. */
  uri: string;
  /** Names of commands that are answered with "not authorized", such as `find` or `listCollections`. */
  forbidden: Set<string>;
  stop(): Promise<void>;
}

/** Starts it before a server on 127.0.0.1. */
export async function startRefusingMongo(uri: string): Promise<RefusingMongo> {
  const forbidden = new Set<string>();
  const target = new URL(uri);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    upstream.pipe(client);
    client.on('close', () => upstream.destroy());
    let pending = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 4 && pending.length >= pending.readInt32LE(0)) {
        const message = pending.subarray(0, pending.readInt32LE(0));
        pending = pending.subarray(message.length);
        const refusal = refusalOf(message, forbidden);
        if (refusal) client.write(refusal);
        else upstream.write(message);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const shown = new URL(uri);
  shown.port = String((server.address() as AddressInfo).port);
  shown.searchParams.set('directConnection', 'true');
  return {
    uri: shown.href,
    forbidden,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The answer of a server that does not let this user do it; undefined when it may. */
function refusalOf(message: Buffer, forbidden: ReadonlySet<string>): Buffer | undefined {
  if (message.readInt32LE(12) !== OP_MSG || message[BODY_AT - 1] !== 0) return undefined;
  const command = BSON.deserialize(message.subarray(BODY_AT, BODY_AT + message.readInt32LE(BODY_AT)));
  const [name = ''] = Object.keys(command);
  if (!forbidden.has(name)) return undefined;
  const errmsg = `not authorized on ${String(command['$db'])} to execute command { ${name} }`;
  const body = BSON.serialize({ ok: 0, errmsg, code: 13, codeName: 'Unauthorized' });
  const reply = Buffer.alloc(BODY_AT + body.length);
  reply.writeInt32LE(reply.length, 0);
  reply.writeInt32LE(message.readInt32LE(4), 8);
  reply.writeInt32LE(OP_MSG, 12);
  reply.set(body, BODY_AT);
  return reply;
}

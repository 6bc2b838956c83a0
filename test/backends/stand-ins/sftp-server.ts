// OpenSSH's sftp-server with the answers of other servers: statuses of later versions on a version 3 connection, and a disk that is full.
// argv: later (exists is 11, a missing path is 10), full (every write is 14) or quota (every write is 15).
import { spawn } from 'node:child_process';

const SERVER = '/usr/lib/openssh/sftp-server';
const [OPEN, WRITE, MKDIR, RENAME, STATUS, EXTENDED] = [3, 6, 14, 18, 101, 200];
const [NO_SUCH_FILE, FAILURE] = [2, 4];

const answers = process.argv[2] ?? 'later';
const server = spawn(SERVER, ['-e'], { stdio: ['pipe', 'pipe', 'inherit'] });
/** Type of each request that is under way, by its id. */
const asked = new Map<number, number>();

/** Calls back with each whole packet of a stream, without its length. */
function packets(stream: NodeJS.ReadableStream, take: (packet: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0);
      take(rest.subarray(4, end));
      rest = rest.subarray(end);
    }
  });
}

function send(stream: NodeJS.WritableStream, packet: Buffer): void {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(packet.length);
  stream.write(Buffer.concat([length, packet]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function status(id: number, code: number, message: string): Buffer {
  const head = Buffer.alloc(9);
  head[0] = STATUS;
  head.writeUInt32BE(id, 1);
  head.writeUInt32BE(code, 5);
  return Buffer.concat([head, text(message), text('')]);
}

packets(process.stdin, (packet) => {
  const type = packet[0] as number;
  if (packet.length >= 5) asked.set(packet.readUInt32BE(1), type);
  if (type === WRITE && answers !== 'later') {
    send(process.stdout, status(packet.readUInt32BE(1), answers === 'full' ? 14 : 15, 'No space'));
    return;
  }
  send(server.stdin, packet);
});
process.stdin.on('end', () => server.stdin.end());

packets(server.stdout, (packet) => {
  const id = packet.length >= 5 ? packet.readUInt32BE(1) : 0;
  const type = asked.get(id);
  asked.delete(id);
  if (packet[0] !== STATUS || answers !== 'later') {
    send(process.stdout, packet);
    return;
  }
  const code = packet.readUInt32BE(5);
  const mayExist = type === OPEN || type === MKDIR || type === RENAME || type === EXTENDED;
  if (code === FAILURE && mayExist) {
    send(process.stdout, status(id, 11, 'File already exists'));
    return;
  }
  if (code === NO_SUCH_FILE) {
    send(process.stdout, status(id, 10, 'No such path'));
    return;
  }
  send(process.stdout, packet);
});
server.on('exit', (code) => process.exit(code ?? 1));

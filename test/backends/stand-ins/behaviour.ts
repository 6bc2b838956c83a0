// What the misbehaving stand-ins share: mongo-tools' log lines, writing with back-pressure, hanging.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A line on standard error as mongo-tools write it. */
export async function log(message: string): Promise<void> {
  await write(process.stderr, Buffer.from(`${new Date().toISOString().replace('Z', '+0000')}\t${message}\n`));
}

/** Writes all bytes and waits until the reader took them. */
export async function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  const piece = 1024 * 1024;
  for (let at = 0; at < bytes.length; at += piece) {
    await new Promise<void>((resolve, reject) => {
      stream.write(bytes.subarray(at, at + piece), (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

export function end(code: number, text = ''): never {
  if (text !== '') process.stdout.write(text);
  process.exit(code);
}

/** Does nothing, for longer than any test lasts; a minute later it goes by itself, so that none is left behind. */
export async function stay({ endsOnSigterm }: { endsOnSigterm: boolean }): Promise<void> {
  process.on('SIGTERM', () => {
    if (endsOnSigterm) process.exit(1);
  });
  await delay(60_000);
}

/** The connection string, password and all: in the file that `--config` names, or in `--uri` with the password on standard input. */
export function configuredUri(args: string[]): string {
  const given = args.find((arg) => arg.startsWith('--uri='))?.slice('--uri='.length);
  if (given !== undefined) return given.replace('@', `:${readFileSync(0, 'utf8').split('\n')[0] ?? ''}@`);
  const at = args.findIndex((arg) => arg.startsWith('--config'));
  const file = args[at]?.includes('=') ? args[at].slice('--config='.length) : args[at + 1];
  return /uri:\s*["']?([^"'\s]+)/.exec(readFileSync(file ?? '', 'utf8'))?.[1] ?? 'no uri';
}

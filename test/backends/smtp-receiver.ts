// A mail server that keeps what it takes: STARTTLS, a password, and refusals per recipient, as the npm package smtp-server speaks them.
import { SMTPServer } from 'smtp-server';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './support.ts';

export interface ReceivedMail {
  from: string;
  to: string[];
  /** The whole message, headers first. */
  text: string;
  secure: boolean;
  user: string | undefined;
}

export interface SmtpReceiver {
  port: number;
  mails: ReceivedMail[];
  /** Recipients that are refused with 550. */
  refuse: Set<string>;
  stop(): Promise<void>;
}

/** @param options.credentials wanted before a mail is taken; none are asked for when absent */
export async function startSmtpReceiver(options: {
  certificate: Certificate;
  credentials?: { user: string; pass: string };
  startTls?: boolean;
  /** Milliseconds before a sender is answered. */
  delayMs?: number;
}): Promise<SmtpReceiver> {
  const mails: ReceivedMail[] = [];
  const refuse = new Set<string>();
  const { certificate, credentials, startTls = true, delayMs = 0 } = options;
  const server = new SMTPServer({
    cert: certificate.cert,
    key: certificate.key,
    authOptional: credentials === undefined,
    disabledCommands: startTls ? [] : ['STARTTLS'],
    logger: false,
    closeTimeout: 100,
    onAuth({ username, password }, _session, callback) {
      if (username === credentials?.user && password === credentials?.pass) callback(null, { user: username });
      else callback(Object.assign(new Error('Invalid username or password'), { responseCode: 535 }));
    },
    onMailFrom(_address, _session, callback) {
      setTimeout(callback, delayMs).unref();
    },
    onRcptTo({ address }, _session, callback) {
      callback(refuse.has(address) ? Object.assign(new Error('No such user'), { responseCode: 550 }) : null);
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
          secure: session.secure,
          user: typeof session.user === 'string' ? session.user : undefined,
        });
        callback();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.server.address() as AddressInfo).port,
    mails,
    refuse,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
      }),
  };
}

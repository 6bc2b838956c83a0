// The channel `email`: one e-mail, as plain text and as a page, to all recipients, through an SMTP server.
import { createTransport, type SendMailOptions } from 'nodemailer';
import { errorMessage, isDefect, UserError } from '../step/errors.ts';
import { proxyFor } from '../tools/proxy.ts';
import { plural } from '../step/format.ts';
import type { Channel } from './channel.ts';
import { htmlText } from './email-html.ts';
import type { Message } from './message.ts';
import { cut, messageText } from './text.ts';

const TIMEOUT_MS = 10_000;
const SUBJECT = 180;

export interface EmailOptions {
  /** `smtp://user:password@host:587` or `smtps://…`; a secret. */
  url: string;
  from: string;
  to: readonly string[];
}

/** What is handed to the mail library. */
export function emailOf(message: Message, { from, to }: Pick<EmailOptions, 'from' | 'to'>): SendMailOptions {
  return {
    from,
    to: [...to],
    subject: cut(
      `[${message.severity}] ${message.title.includes(message.name) ? '' : `${message.name}: `}${message.title}`.replace(/\s+/g, ' '),
      SUBJECT,
    ),
    text: messageText(message),
    html: htmlText(message),
    date: message.at,
    headers: {
      // Out-of-office answers to a backup help no one (RFC 3834).
      'Auto-Submitted': 'auto-generated',
      ...(message.severity === 'critical' ? { Importance: 'high' } : {}),
    },
  };
}

export function open({ url, from, to }: EmailOptions): Channel {
  const { hostname, port, protocol, username, password } = new URL(url);
  const secure = protocol === 'smtps:';
  const host = decodeURIComponent(hostname).replace(/^\[|\]$/g, '');
  const proxy = proxyFor(`${protocol}//${hostname}`)?.href;
  const transport = () =>
    createTransport({
      host,
      port: port === '' ? (secure ? 465 : 587) : Number(port),
      secure,
      // Never a password over a connection that an attacker has talked out of TLS.
      requireTLS: !secure && username !== '',
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      dnsTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
      proxy,
      ...(username === '' ? {} : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    });
  const label = `email ${host}`;
  return {
    label,
    async send(message, { signal } = {}) {
      const mailer = transport();
      try {
        const { rejected } = await beforeAbort(mailer.sendMail(emailOf(message, { from, to })), signal);
        if (rejected.length > 0) throw refusedRecipients(rejected, to.length);
      } catch (thrown) {
        throw thrown instanceof UserError || isDefect(thrown) ? thrown : smtpError(host, thrown);
      } finally {
        mailer.close();
      }
    },
  };
}

/** The mail library cannot be told to stop: what it still does after an abort ends with its own time-outs. */
async function beforeAbort<T>(sending: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return sending;
  return new Promise((resolve, reject) => {
    sending.then(resolve, reject);
    signal.addEventListener(
      'abort',
      () => {
        reject(new Error('it did not answer in time'));
      },
      { once: true },
    );
  });
}

function refusedRecipients(rejected: readonly string[], all: number): UserError {
  return new UserError(`The mail server refused ${plural(rejected.length, 'recipient')} of ${all}: ${rejected.join(', ')}.`, {
    fix: 'Correct or remove them under notify in dr.yml. The others got the message.',
  });
}

function smtpError(host: string, thrown: unknown): UserError {
  const { code, responseCode } = thrown as { code?: string; responseCode?: number };
  if (code === 'EAUTH') {
    return new UserError(
      `The mail server ${host} does not take this user name and password${responseCode === undefined ? '' : ` (${responseCode})`}.`,
      {
        fix: 'Correct the secret with the SMTP address.',
        cause: thrown,
      },
    );
  }
  const text = errorMessage(thrown).replace(/\s+/g, ' ');
  return new UserError(`The mail server ${host} did not take the message: ${cut(text, 200)}.`, {
    ...(code === 'ETLS' || code === 'ESOCKET'
      ? { fix: 'Check port and TLS: smtp:// with 587 is STARTTLS, smtps:// with 465 is TLS from the start.' }
      : {}),
    cause: thrown,
  });
}

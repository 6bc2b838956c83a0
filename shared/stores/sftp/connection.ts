// One SSH connection with SFTP, made when it is needed and again after it broke; the host is known by its key's fingerprint, always.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Client, ConnectConfig, ServerHostKeyAlgorithm, SFTPWrapper } from 'ssh2';
import { isDefect, UserError } from '../../step/errors.ts';
import { StoreError } from '../errors.ts';
import type { Away } from '../patience.ts';
import { HostKeys } from './host-key.ts';
import { readSftpKey } from './key.ts';
import type { SftpStoreConfig } from './schema.ts';

const CONNECT_TIMEOUT_MS = 20_000;
/** The longest a request may take: a quarter of a megabyte at 5 KB/s. */
const REQUEST_TIMEOUT_MS = 60_000;
/** The same, and the time to connect, once the user has cancelled: what is tidied up then must not keep a person waiting. */
const HURRIED_TIMEOUT_MS = 3_000;
/** Status codes of SFTP version 3. */
export const NO_SUCH_FILE = 2;
const PERMISSION_DENIED = 3;
/** Anything else, "exists already" and "disk full" among it. */
export const FAILURE = 4;
export const OP_UNSUPPORTED = 8;

/** How to reach a server and sign in. */
export type SftpAccess = Omit<SftpStoreConfig, 'kind' | 'path' | 'port'> & { port: number };

/** How the library answers. */
export type Callback<T> = (error: Error | undefined | null, value: T) => void;

/** The connection that a file was open on is gone. */
export class ConnectionLostError extends Error {
  constructor() {
    super('it was lost');
    this.name = 'ConnectionLostError';
  }
}

/** The server cannot be reached, or does not answer: it may later. */
export class SftpAwayError extends StoreError {}

export class SftpConnection {
  readonly #access: SftpAccess;
  readonly #location: string;
  readonly #hostKeys: HostKeys;
  #open: Promise<{ sftp: SFTPWrapper; socket: Socket }> | undefined;
  /** The one that is open now. */
  #session: SFTPWrapper | undefined;
  #attempt: symbol | undefined;
  /** The one that is open, or being opened. */
  #socket: Socket | undefined;
  #active = 0;
  #answers = 0;
  #hurried = false;

  constructor(access: SftpAccess, location: string) {
    this.#access = access;
    this.#location = location;
    this.#hostKeys = new HostKeys(access.fingerprint);
  }

  /** The user has cancelled: gives up a server that is silent, soon, and from now on waits for an answer no longer than that. */
  hurry(): void {
    if (this.#hurried) return;
    this.#hurried = true;
    const { socket, answers } = { socket: this.#socket, answers: this.#answers };
    setTimeout(() => {
      if (this.#answers === answers) socket?.destroy(new Error('it does not answer'));
    }, HURRIED_TIMEOUT_MS).unref();
  }

  /**
   * Sends one request. The connection keeps the process alive only while a request is under way.
   * @throws the library's error, whose `code` is SFTP's status; StoreError when there is no connection
   */
  async call<T = void>(request: (sftp: SFTPWrapper, done: Callback<T>) => unknown): Promise<T> {
    this.#open ??= this.#connect();
    const { sftp, socket } = await this.#open;
    this.#active += 1;
    socket.ref();
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        const limit = this.#hurried ? HURRIED_TIMEOUT_MS : REQUEST_TIMEOUT_MS;
        timer = setTimeout(() => {
          socket.destroy();
          reject(new SftpAwayError(`${this.#location} did not answer for ${limit / 1000} seconds.`));
        }, limit);
        request(sftp, (error, value) => {
          this.#answers += 1;
          if (error) reject(error);
          else resolve(value);
        });
      });
    } finally {
      clearTimeout(timer);
      this.#active -= 1;
      if (this.#active === 0) socket.unref();
    }
  }

  /** True while the connection that a request was sent on is still the one in use. */
  isOpen(session: SFTPWrapper): boolean {
    return this.#session === session;
  }

  async #connect(): Promise<{ sftp: SFTPWrapper; socket: Socket }> {
    const attempt = (this.#attempt = Symbol('attempt'));
    const forget = (): void => {
      // The last words of an old connection must not end the one after it.
      if (this.#attempt !== attempt) return;
      this.#open = undefined;
      this.#session = undefined;
    };
    for (;;) {
      const { count } = this.#hostKeys;
      try {
        return await this.#handshake(forget);
      } catch (thrown) {
        // The server shows one of its keys at a time: the one that is known may be of another type.
        if (this.#hostKeys.count > count && this.#hostKeys.mayHaveAnother) continue;
        forget();
        throw this.#connectError(thrown);
      }
    }
  }

  async #handshake(forget: () => void): Promise<{ sftp: SFTPWrapper; socket: Socket }> {
    const { host, port, user } = this.#access;
    const timeout = this.#hurried ? HURRIED_TIMEOUT_MS : CONNECT_TIMEOUT_MS;
    let client: Client | undefined;
    try {
      const config: ConnectConfig = {
        username: user,
        readyTimeout: timeout,
        ...(await signIn(this.#access)),
        algorithms: { serverHostKey: this.#hostKeys.algorithms as ServerHostKeyAlgorithm[] },
        hostVerifier: (key: Buffer) => this.#hostKeys.accepts(key),
      };
      const { default: ssh } = await import('ssh2');
      const socket = (this.#socket = connect({ host, port, timeout }));
      socket.once('timeout', () => socket.destroy(new Error('it does not answer')));
      await once(socket, 'connect');
      socket.setTimeout(0).setKeepAlive(true, 15_000).setNoDelay(true);
      const session = (client = new ssh.Client());
      session.once('close', forget);
      const ready = once(session, 'ready');
      session.connect({ ...config, sock: socket });
      await ready;
      // Later errors end the connection; whatever was asked meanwhile is told.
      session.on('error', forget);
      const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
        session.sftp((error, wrapper) => {
          if (error) reject(error);
          else resolve(wrapper);
        });
      });
      sftp.once('close', forget);
      this.#session = sftp;
      return { sftp, socket };
    } catch (thrown) {
      client?.off('close', forget);
      client?.on('error', () => undefined);
      client?.destroy();
      throw thrown;
    }
  }

  /** @throws what was thrown when it is a defect of the program */
  #connectError(thrown: unknown): UserError {
    const { host, port, user, fingerprint } = this.#access;
    const options = { cause: thrown };
    if (thrown instanceof UserError) return thrown;
    if (isDefect(thrown)) throw thrown;
    if (this.#hostKeys.refused) {
      return new StoreError(
        `The server ${host}:${port} is not the one that was expected: its host key is ${this.#hostKeys.shown}, not ${fingerprint}.`,
        {
          ...options,
          fix: 'Ask the operator of the server whether its host key was changed. If it was, set the new fingerprint; if not, another machine is in between.',
        },
      );
    }
    const { level, code, message } = thrown as Error & { level?: string; code?: string };
    if (level === 'client-authentication') {
      return new StoreError(`${host}:${port} does not let ${user} in.`, {
        ...options,
        fix: 'Check user and key (keyFile, privateKey, password, or the agent of SSH_AUTH_SOCK), and that its public half is in authorized_keys there.',
      });
    }
    const reason = code === 'ENOTFOUND' ? 'its name cannot be resolved' : code === 'ECONNREFUSED' ? 'nothing listens there' : message;
    return new SftpAwayError(`The SFTP server ${host}:${port} cannot be reached: ${reason}.`, {
      ...options,
      fix: 'Check host, port and the firewall, then run this again.',
    });
  }
}

async function signIn(access: SftpAccess): Promise<ConnectConfig> {
  const { passphrase, password } = access;
  const agent = process.env['SSH_AUTH_SOCK'];
  const key = await readSftpKey(access);
  if (key === undefined && password === undefined && (agent === undefined || agent === '')) {
    throw new StoreError('There is no way to sign in to the SFTP server.', {
      fix: 'Set keyFile, privateKey or password in dr.yml, keyFile in the address, or start an SSH agent (SSH_AUTH_SOCK).',
    });
  }
  return {
    ...(key === undefined ? {} : { privateKey: key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(password === undefined ? {} : { password }),
    ...(key === undefined && password === undefined && agent !== undefined ? { agent } : {}),
  };
}

/**
 * What version 3 says for the statuses of later versions. Some servers (ProFTPD, AWS Transfer, Azure) send them on a version 3 connection:
 * https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-13#section-9.1
 */
const OLDER_TWINS: Readonly<Record<number, number>> = { 10: NO_SUCH_FILE, 12: PERMISSION_DENIED, 19: NO_SUCH_FILE };

/** SFTP's status of a thrown error, in the words of version 3; undefined when it has none. */
export function sftpStatusOf(thrown: unknown): number | undefined {
  const status = rawStatusOf(thrown);
  return status === undefined || status <= OP_UNSUPPORTED ? status : (OLDER_TWINS[status] ?? FAILURE);
}

/** As the server sent it. */
function rawStatusOf(thrown: unknown): number | undefined {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** What the statuses above those of version 3 say more than "failure". */
const LATER_REASONS: Readonly<Record<number, [reason: string, fix: string]>> = {
  11: ['the name is taken', 'Make sure that no other run uses this store, then try again.'],
  12: ['the disk of the server is write-protected', 'Have it mounted writable, or use another store.'],
  13: ['the disk of the server is not there', 'Have it mounted, then run this again.'],
  14: ['the disk of the server is full', 'Free space there, or use another store. Nothing half-written was kept.'],
  15: ['the quota on the server is used up', 'Free space there, or have the quota raised. Nothing half-written was kept.'],
  17: ['another program on the server holds the file', 'Make sure that no other program uses the folder, then try again.'],
  20: ['the server does not take that name', 'Use a shorter or plainer prefix or component name.'],
  21: ['symbolic links on the server lead round in a circle', 'Replace the link with the folder itself.'],
};

/** SFTP's own words for a connection that is gone. */
const GONE = new Set([6, 7]);

/** Whether a failure says that the server, or the way to it, is away; `connected`: a connection broke, a new one may do at once. */
export function sftpAway(thrown: unknown): (Away & { connected: boolean }) | undefined {
  if (thrown instanceof SftpAwayError) return { reason: thrown.message.replace(/^.*?: /, '').replace(/\.$/, ''), connected: false };
  if (thrown instanceof UserError || !(thrown instanceof Error) || isDefect(thrown)) return undefined;
  const status = sftpStatusOf(thrown);
  if (status === undefined ? /extended request/.test(thrown.message) : !GONE.has(status)) return undefined;
  return { reason: 'the connection broke', connected: true };
}

/** The StoreError of anything thrown by a request. */
export function sftpError(what: string, thrown: unknown): UserError {
  if (thrown instanceof UserError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const status = sftpStatusOf(thrown);
  const later = LATER_REASONS[rawStatusOf(thrown) ?? 0];
  const [reason, fix] =
    later ??
    (status === PERMISSION_DENIED
      ? ['the server does not permit it', 'Give the user write access to the folder, or use another one.']
      : status === FAILURE
        ? ['the server refused it without a reason', 'Look at free space and quota of the server, and at its log.']
        : /extended request/.test(message)
          ? ['the server cannot replace a file in one step', 'Use a server with posix-rename@openssh.com, such as OpenSSH.']
          : status === undefined
            ? [`the connection broke (${message})`, 'Run this again.']
            : [message, undefined]);
  return new StoreError(`${what} failed: ${reason}.`, { cause: thrown, ...(fix === undefined ? {} : { fix }) });
}

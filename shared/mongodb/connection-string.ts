// Takes a MongoDB connection string apart where the driver has no public way to: to pin one host, to hand it to the tools, to keep it secret.
import { UsageError } from '../step/errors.ts';
import type { Secret } from '../step/input.ts';
import { hidePassword } from '../step/masking.ts';

interface Parts {
  scheme: string;
  /** `user:password`, as written. */
  login: string | undefined;
  hosts: string;
  /** Default database, which is also where the user is looked up when `authSource` is absent. */
  database: string;
  query: URLSearchParams;
}

// Grammar: mongodb.com/docs/manual/reference/connection-string. An @, / or : inside the login must be percent-encoded.
const GRAMMAR = /^(mongodb(?:\+srv)?):\/\/(?:([^@/]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/s;

function takeApart(uri: Pick<Secret, 'reveal'>): Parts | undefined {
  const match = GRAMMAR.exec(uri.reveal());
  if (!match) return undefined;
  return {
    scheme: match[1] as string,
    login: match[2],
    hosts: match[3] as string,
    database: match[4] ?? '',
    query: canonical(new URLSearchParams(match[5] ?? '')),
  };
}

/** Options that mean nothing, or are refused, where one host is asked directly. */
const ONLY_FOR_SEVERAL_HOSTS = [
  'replicaSet',
  'readPreference',
  'readPreferenceTags',
  'maxStalenessSeconds',
  'loadBalanced',
  'srvMaxHosts',
  'srvServiceName',
];

/** Options of a connection string that are secrets themselves. */
const SECRET_OPTIONS = ['tlsCertificateKeyFilePassword', 'sslClientCertificateKeyPassword', 'proxyPassword', 'authMechanismProperties'];

/** The options that this file looks for, by their names in lower case: case does not matter in a connection string. */
const SPELLINGS = new Map(
  ['tls', 'ssl', 'authSource', 'authMechanism', ...ONLY_FOR_SEVERAL_HOSTS, ...SECRET_OPTIONS].map((name) => [name.toLowerCase(), name]),
);

function canonical(query: URLSearchParams): URLSearchParams {
  return new URLSearchParams([...query].map(([name, value]): [string, string] => [SPELLINGS.get(name.toLowerCase()) ?? name, value]));
}

function putTogether({ scheme, login, hosts, database, query }: Parts): string {
  const text = query.toString();
  return `${scheme}://${login === undefined ? '' : `${login}@`}${hosts}/${database}${text === '' ? '' : `?${text}`}`;
}

/** True when the connection string names a user. */
export function hasLogin(uri: Secret): boolean {
  const login = takeApart(uri)?.login;
  return login !== undefined && login !== '';
}

/**
 * An `@` of the password that is not percent-encoded would make its rest a host, which is told in errors and seen on command lines.
 * @throws UsageError
 */
export function refuseUnescapedLogin(uri: Pick<Secret, 'reveal'>): void {
  if (!takeApart(uri)?.hosts.includes('@')) return;
  throw new UsageError('The user or password in the MongoDB connection string has an @ that is not percent-encoded.', {
    fix: 'Write %40 for it, as in mongodb://user:p%40ss@host:27017/; other special characters likewise.',
  });
}

/** Does the answer depend on the machine it is asked on? True for one local host that is not looked up as a member of a set. */
export function isOneLocalHost(uri: Secret): boolean {
  const parts = takeApart(uri);
  return parts !== undefined && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(parts.hosts) && !setsOption(uri, 'replicaSet');
}

/** The same connection string without user and password: for questions that need no login. */
export function withoutLogin(uri: Secret): string {
  const parts = takeApart(uri);
  if (!parts) return uri.reveal();
  for (const name of ['authSource', 'authMechanism', ...SECRET_OPTIONS]) parts.query.delete(name);
  return putTogether({ ...parts, login: undefined, database: '' });
}

/** True when the connection string sets this option itself; names are case-insensitive there. */
export function setsOption(uri: Secret, name: string): boolean {
  return [...(takeApart(uri)?.query.keys() ?? [])].some((key) => key.toLowerCase() === name.toLowerCase());
}

/** True when the connection string asks for TLS, by an option or by its scheme. */
export function asksForTls(uri: Secret): boolean {
  const parts = takeApart(uri);
  if (!parts) return false;
  const said = parts.query.get('tls') ?? parts.query.get('ssl');
  return said === null ? parts.scheme === 'mongodb+srv' : said === 'true';
}

/** The same connection string with one host in it, not looking for others. */
export function singleHostUri(uri: Secret, host: string): string {
  const parts = takeApart(uri);
  if (!parts) return uri.reveal();
  const { query } = parts;
  if (parts.scheme === 'mongodb+srv') {
    parts.scheme = 'mongodb';
    // mongodb+srv means TLS unless it is turned off, and its TXT record usually says authSource=admin.
    if (!query.has('tls') && !query.has('ssl')) query.set('tls', 'true');
    if (!query.has('authSource') && parts.database === '') query.set('authSource', 'admin');
  }
  for (const name of ONLY_FOR_SEVERAL_HOSTS) query.delete(name);
  query.set('directConnection', 'true');
  return putTogether({ ...parts, hosts: host });
}

/**
 * The connection string for mongodump and mongorestore. They take the database in its path as "dump only this one", while everywhere
 * else it says where the user lives: so it becomes `authSource`.
 */
export function toolUri(uri: Secret): string {
  const parts = takeApart(uri);
  if (!parts) return uri.reveal();
  if (parts.database !== '' && parts.login !== undefined && !parts.query.has('authSource'))
    parts.query.set('authSource', decodeURIComponent(parts.database));
  return putTogether({ ...parts, database: '' });
}

/**
 * The connection string for the tools in two parts: what may stand on a command line, and the password, which they read as the first
 * line of standard input when they are given a user without one.
 * @throws UsageError when it has a secret that cannot go that way
 */
export function withoutPassword(uri: Secret): { uri: string; password: string | undefined } {
  refuseUnescapedLogin(uri);
  const parts = takeApart({ reveal: () => toolUri(uri) });
  if (!parts)
    throw new UsageError('The MongoDB connection string cannot be read.', {
      fix: 'Write it like mongodb://user:password@localhost:27017/?authSource=admin.',
    });
  for (const key of parts.query.keys()) {
    if (!SECRET_OPTIONS.includes(key)) continue;
    throw new UsageError(`The connection string has ${key}, which would be seen on the command line in the pod.`, {
      fix: 'Reach the database without kubectl, or give a connection string that does not need it inside the pod.',
    });
  }
  // Both SCRAM mechanisms are found out by the tools; named, they ask for the password before it was read.
  if (/^SCRAM-/i.test(parts.query.get('authMechanism') ?? '')) parts.query.delete('authMechanism');
  const colon = parts.login?.indexOf(':') ?? -1;
  if (parts.login === undefined || colon < 0) return { uri: putTogether(parts), password: undefined };
  const password = decoded(parts.login.slice(colon + 1));
  // mongo-tools' prompt takes these as keys: backspace, end, delete.
  if (/[\0\x03\x04\b\n\r\x7f]/.test(password)) {
    throw new UsageError('The password has a control character, which mongodump cannot read from its input.', {
      fix: 'Choose another password.',
    });
  }
  return { uri: putTogether({ ...parts, login: parts.login.slice(0, colon) }), password };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not percent-encoded properly: then the text as written is all there is.
    return text;
  }
}

/** Removes the connection string, its login and its password (as written and decoded) from a text. */
export function redactUri(text: string, uri: Secret): string {
  const login = takeApart(uri)?.login ?? '';
  const password = login.includes(':') ? login.slice(login.indexOf(':') + 1) : '';
  const hidden = [uri.reveal(), ...(password === '' ? [] : [login])].reduce((result, secret) => result.replaceAll(secret, '***'), text);
  return password === '' ? hidden : [password, decoded(password)].reduce(hidePassword, hidden);
}

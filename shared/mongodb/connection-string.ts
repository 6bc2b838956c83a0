// What is asked of a MongoDB connection string, and the forms that it takes: for one host, for the tools, without its secrets.
import { ConnectionString } from 'mongodb-connection-string-url';
import { UsageError } from '../step/errors.ts';
import type { Secret } from '../step/input.ts';
import { hidePassword } from '../step/masking.ts';

/** Undefined for what is no connection string: the parser's errors quote it, and are not passed on. */
function parse(uri: Pick<Secret, 'reveal'>): ConnectionString | undefined {
  try {
    return new ConnectionString(uri.reveal(), { looseValidation: true });
  } catch {
    return undefined;
  }
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

/** True when the connection string names a user. */
export function hasLogin(uri: Secret): boolean {
  return (parse(uri)?.username ?? '') !== '';
}

/**
 * An `@` of the password that is not percent-encoded would make its rest a host, which is told in errors and seen on command lines.
 * @throws UsageError
 */
export function refuseUnescapedLogin(uri: Pick<Secret, 'reveal'>): void {
  // The parser takes it for the end of the hosts.
  if (!/:\/\/[^/?]*@[^/?]*@/.test(uri.reveal())) return;
  throw new UsageError('The user or password in the MongoDB connection string has an @ that is not percent-encoded.', {
    fix: 'Write %40 for it, as in mongodb://user:p%40ss@host:27017/; other special characters likewise.',
  });
}

/** Does the answer depend on the machine it is asked on? True for one local host that is not looked up as a member of a set. */
export function isOneLocalHost(uri: Secret): boolean {
  const [host, ...others] = parse(uri)?.hosts ?? [];
  return (
    host !== undefined && others.length === 0 && /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host) && !setsOption(uri, 'replicaSet')
  );
}

/** The same connection string without user and password: for questions that need no login. */
export function withoutLogin(uri: Secret): string {
  const url = parse(uri);
  if (!url) return uri.reveal();
  for (const name of ['authSource', 'authMechanism', ...SECRET_OPTIONS]) url.searchParams.delete(name);
  url.username = '';
  url.password = '';
  url.pathname = '/';
  return url.toString();
}

/** True when the connection string sets this option itself. */
export function setsOption(uri: Secret, name: string): boolean {
  return parse(uri)?.searchParams.has(name) ?? false;
}

/** True when the connection string asks for TLS, by an option or by its scheme. */
export function asksForTls(uri: Secret): boolean {
  const url = parse(uri);
  const said = url?.searchParams.get('tls') ?? url?.searchParams.get('ssl');
  return said === undefined || said === null ? url?.isSRV === true : said === 'true';
}

/** The same connection string with one host in it, not looking for others. */
export function singleHostUri(uri: Secret, host: string): string {
  const url = parse(uri);
  if (!url) return uri.reveal();
  const { searchParams: options } = url;
  if (url.isSRV) {
    url.protocol = 'mongodb:';
    // mongodb+srv means TLS unless it is turned off, and its TXT record usually says authSource=admin.
    if (!options.has('tls') && !options.has('ssl')) options.set('tls', 'true');
    if (!options.has('authSource') && url.pathname === '/') options.set('authSource', 'admin');
  }
  for (const name of ONLY_FOR_SEVERAL_HOSTS) options.delete(name);
  options.set('directConnection', 'true');
  url.hosts = [host];
  return url.toString();
}

/**
 * The connection string for mongodump and mongorestore. They take the database in its path as "dump only this one", while everywhere
 * else it says where the user lives: so it becomes `authSource`.
 */
export function toolUri(uri: Secret): string {
  const url = parse(uri);
  if (!url) return uri.reveal();
  forTools(url);
  return url.toString();
}

function forTools(url: ConnectionString): void {
  const database = url.pathname.slice(1);
  if (database !== '' && url.username !== '' && !url.searchParams.has('authSource'))
    url.searchParams.set('authSource', decodeURIComponent(database));
  url.pathname = '/';
}

/**
 * The connection string for the tools in two parts: what may stand on a command line, and the password, which they read as the first
 * line of standard input when they are given a user without one.
 * @throws UsageError when it has a secret that cannot go that way
 */
export function withoutPassword(uri: Secret): { uri: string; password: string | undefined } {
  refuseUnescapedLogin(uri);
  const url = parse(uri);
  if (!url)
    throw new UsageError('The MongoDB connection string cannot be read.', {
      fix: 'Write it like mongodb://user:password@localhost:27017/?authSource=admin.',
    });
  forTools(url);
  const secret = SECRET_OPTIONS.find((name) => url.searchParams.has(name));
  if (secret !== undefined) {
    throw new UsageError(`The connection string has ${secret}, which would be seen on the command line in the pod.`, {
      fix: 'Reach the database by its connection string, or give a connection string that does not need it inside the pod.',
    });
  }
  // Both SCRAM mechanisms are found out by the tools; named, they ask for the password before it was read.
  if (/^SCRAM-/i.test(url.searchParams.get('authMechanism') ?? '')) url.searchParams.delete('authMechanism');
  if (url.password === '') return { uri: url.toString(), password: undefined };
  const password = decoded(url.password);
  // mongo-tools' prompt takes these as keys: backspace, end, delete.
  if (/[\0\x03\x04\b\n\r\x7f]/.test(password)) {
    throw new UsageError('The password has a control character, which mongodump cannot read from its input.', {
      fix: 'Choose another password.',
    });
  }
  url.password = '';
  return { uri: url.toString(), password };
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
  // As written, and to the last @: the parser would encode it anew.
  const login = /:\/\/([^/?]*)@/.exec(uri.reveal())?.[1] ?? '';
  const password = login.includes(':') ? login.slice(login.indexOf(':') + 1) : '';
  const hidden = [uri.reveal(), ...(password === '' ? [] : [login])].reduce((result, secret) => result.replaceAll(secret, '***'), text);
  return password === '' ? hidden : [password, decoded(password)].reduce(hidePassword, hidden);
}

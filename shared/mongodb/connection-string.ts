// Takes a MongoDB connection string apart where the driver has no public way to: to pin one host, to hand it to the tools, to keep it secret.
import type { Secret } from '../step/input.ts';

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

function takeApart(uri: Secret): Parts | undefined {
  const match = GRAMMAR.exec(uri.reveal());
  if (!match) return undefined;
  return {
    scheme: match[1] as string,
    login: match[2],
    hosts: match[3] as string,
    database: match[4] ?? '',
    query: new URLSearchParams(match[5] ?? ''),
  };
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

/** True when the connection string sets this option itself; names are case-insensitive there. */
export function setsOption(uri: Secret, name: string): boolean {
  return [...(takeApart(uri)?.query.keys() ?? [])].some((key) => key.toLowerCase() === name.toLowerCase());
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
  for (const name of ['replicaSet', 'readPreference', 'readPreferenceTags', 'loadBalanced', 'srvMaxHosts', 'srvServiceName'])
    query.delete(name);
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

/** Removes the connection string, its login and its password (as written and decoded) from a text. */
export function redactUri(text: string, uri: Secret): string {
  const secrets = [uri.reveal()];
  const login = takeApart(uri)?.login ?? '';
  const password = login.includes(':') ? login.slice(login.indexOf(':') + 1) : '';
  if (password !== '') {
    secrets.push(login, password);
    try {
      secrets.push(decodeURIComponent(password));
    } catch {
      // Not percent-encoded properly: then the text as written is all there is.
    }
  }
  return secrets.reduce((result, secret) => result.replaceAll(secret, '***'), text);
}

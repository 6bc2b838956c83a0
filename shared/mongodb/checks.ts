// Checks of the database: reached, let in, allowed to read everything; and which engine will do the work.
import { MongoServerError } from 'mongodb';
import { connectMongo, type MongoServer } from './connect.ts';
import { databaseNames, estimateBytes, readCatalog } from './catalog.ts';
import type { EngineChoice } from './engine.ts';
import { compileSelection, type Selection } from './namespaces.ts';
import { errorMessage, type UserError } from '../step/errors.ts';
import { listed, plural } from '../step/format.ts';
import type { Secret } from '../step/input.ts';
import { findTool, type Tool } from '../tools/find-tool.ts';
import { findingOf, skipped, type Check, type Finding } from '../backup/finding.ts';

export interface MongoSubject extends Selection {
  uri: Secret | undefined;
  /** Why there is no connection string, when dr.yml names one that cannot be had. */
  problem?: UserError | undefined;
  engine: EngineChoice;
}

/** What the other checks ask of the database. */
export interface MongoChecks {
  checks: Check[];
  /** Bytes of a dump, about; undefined when that cannot be told. */
  estimate: () => Promise<number | undefined>;
  close(): Promise<void>;
}

const NO_URI = 'No connection string is given.';
/** MongoDB's codes for a wrong login: AuthenticationFailed, and Atlas's own. */
const WRONG_LOGIN = new Set([18, 8000]);
const UNAUTHORIZED = 13;

/** Checks that share one connection. */
export function mongoChecks(subject: MongoSubject): MongoChecks {
  const { uri, problem, engine } = subject;
  const noUri = (): Finding => (problem ? findingOf(problem) : skipped(NO_URI));
  const selector = compileSelection(subject);
  let connecting: Promise<MongoServer> | undefined;
  const connect = (): Promise<MongoServer> => (connecting ??= connectMongo(uri as Secret));
  const server = async (): Promise<MongoServer | undefined> => (uri === undefined ? undefined : connect().catch(() => undefined));
  return {
    checks: [
      { name: 'mongodb-connection', look: async () => (uri === undefined ? noUri() : connection(connect())) },
      { name: 'mongodb-login', look: async () => (uri === undefined ? skipped(NO_URI) : login(connect())) },
      {
        name: 'mongodb-permissions',
        look: async () => {
          const found = await server();
          return found ? permissions(found, subject) : skipped(uri === undefined ? NO_URI : 'Not connected.');
        },
      },
      { name: 'tools', look: async (signal) => tools(engine, signal) },
    ],
    estimate: async () => {
      const found = await server();
      if (!found) return undefined;
      const catalog = await readCatalog(found, selector).catch(() => undefined);
      return catalog && estimateBytes(found, catalog.collections);
    },
    close: async () => {
      await (await connecting?.catch(() => undefined))?.close();
    },
  };
}

async function connection(connecting: Promise<MongoServer>): Promise<Finding> {
  try {
    const { product, version, topology, fingerprint } = await connecting;
    return { status: 'ok', seen: `${product ?? 'MongoDB'} ${version}, ${topology}, at ${fingerprint}.` };
  } catch (thrown) {
    if (isLoginProblem(thrown)) return { status: 'ok', seen: 'The server is reached and answers.' };
    return findingOf(thrown);
  }
}

async function login(connecting: Promise<MongoServer>): Promise<Finding> {
  try {
    const { client } = await connecting;
    const users = await usersOf(await connecting);
    if (users.length > 0) return { status: 'ok', seen: `Signed in as ${users.map(({ user, db }) => `${user} of ${db}`).join(', ')}.` };
    if (client.options.credentials === undefined)
      return {
        status: 'warning',
        seen: 'No login is used, and the server lets anyone in.',
        fix: 'Switch on access control (security.authorization), and give backups a user with the role "backup".',
      };
    return { status: 'ok', seen: 'The login was accepted.' };
  } catch (thrown) {
    return isLoginProblem(thrown) ? findingOf(thrown) : skipped('Not connected.');
  }
}

/** True when the server was reached and said no to the login. */
function isLoginProblem(thrown: unknown): boolean {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  if (!(cause instanceof MongoServerError)) return false;
  return WRONG_LOGIN.has(Number(cause.code)) || cause.code === UNAUTHORIZED;
}

interface Account {
  user: string;
  db: string;
}

async function usersOf({ client }: MongoServer): Promise<Account[]> {
  const { users } = await statusOf(client);
  return users;
}

/** Who we are and what we may do; empty on servers that do not tell. */
async function statusOf(client: MongoServer['client']): Promise<{ users: Account[]; roles: string[] }> {
  const reply = await client
    .db('admin')
    .command({ connectionStatus: 1 })
    .catch(() => ({}));
  const { authenticatedUsers = [], authenticatedUserRoles = [] } = ((reply as { authInfo?: unknown }).authInfo ?? {}) as {
    authenticatedUsers?: Account[];
    authenticatedUserRoles?: { role: string; db: string }[];
  };
  return { users: authenticatedUsers, roles: authenticatedUserRoles.map(({ role, db }) => `${role}@${db}`) };
}

async function permissions(server: MongoServer, subject: MongoSubject): Promise<Finding> {
  const { users, roles } = await statusOf(server.client);
  const fix = `Give it the roles, in mongosh: ${grantCommand(users[0])}`;
  const selector = compileSelection(subject);
  try {
    const databases = await databaseNames(server, selector);
    const catalog = await readCatalog(server, selector);
    const refused: string[] = [];
    for (const { data } of catalog.collections) {
      if (data && (await isRefused(server, data.db, data.collection))) refused.push(`${data.db}.${data.collection}`);
    }
    if (refused.length > 0) return { status: 'failed', seen: `The login may not read ${listed(refused)}.`, fix };
    if (catalog.doubts.length > 0) return { status: 'warning', seen: catalog.doubts.join(' '), fix };
    const mayRestore = roles.length === 0 || roles.some((role) => /^(restore|root|__system|dbOwner|dbAdmin|readWrite)/.test(role));
    const seen = `Everything asked for can be read: ${plural(catalog.collections.length, 'collection')} in ${plural(databases.length, 'database')}`;
    return { status: 'ok', seen: `${seen}${mayRestore ? '' : '; a restore would need the role "restore"'}.` };
  } catch (thrown) {
    if (thrown instanceof MongoServerError && thrown.code === UNAUTHORIZED) {
      return { status: 'failed', seen: `The login may not list what is there: ${errorMessage(thrown)}.`, fix };
    }
    throw thrown;
  }
}

async function isRefused(server: MongoServer, db: string, collection: string): Promise<boolean> {
  try {
    await server.client.db(db).command({ find: collection, limit: 1, singleBatch: true });
    return false;
  } catch (thrown) {
    if (thrown instanceof MongoServerError && thrown.code === UNAUTHORIZED) return true;
    throw thrown;
  }
}

function grantCommand(account: Account | undefined): string {
  const { user, db } = account ?? { user: '<user>', db: 'admin' };
  const roles = ['backup', 'restore', 'clusterMonitor'].map((role) => `{ role: "${role}", db: "admin" }`).join(', ');
  return `db.getSiblingDB(${JSON.stringify(db)}).grantRolesToUser(${JSON.stringify(user)}, [${roles}])`;
}

/** The tools are found or not needed, and which engine a backup and a restore would take. */
async function tools(engine: EngineChoice, signal: AbortSignal): Promise<Finding> {
  if (engine === 'driver') return { status: 'ok', seen: 'The built-in engine is chosen; it needs no tools.' };
  const [dump, restore] = await Promise.all([findTool('mongodump', { signal }), findTool('mongorestore', { signal })]);
  const fix = 'Install the MongoDB Database Tools 100.x, or set engine: driver, which needs nothing.';
  const text = (tool: Tool | undefined, name: string): string =>
    tool ? `${name} ${tool.version ?? 'of unknown version'} (${tool.path})` : `no ${name}`;
  const seen = `${text(dump, 'mongodump')}, ${text(restore, 'mongorestore')}`;
  if (engine === 'tools' && (!dump || !restore)) return { status: 'failed', seen: `engine is tools, but there is ${seen} on PATH.`, fix };
  if (!dump && !restore) return { status: 'ok', seen: 'No MongoDB tools on PATH; the built-in engine does the work and needs none.' };
  const old = [dump, restore].filter((tool) => tool?.version !== undefined && Number.parseInt(tool.version, 10) < 100);
  if (old.length > 0)
    return { status: 'warning', seen: `${seen}: older than 100.0, from before the tools had versions of their own.`, fix };
  return {
    status: 'ok',
    seen: `${seen}. ${dump ? 'Backups use mongodump' : 'Backups use the built-in engine'}, ${restore ? 'restores mongorestore' : 'restores the built-in engine'}.`,
  };
}

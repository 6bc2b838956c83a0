// Reaches a MongoDB server through the official driver and learns what it is; says in one sentence why it cannot be reached.
import {
  MongoClient,
  MongoInvalidArgumentError,
  MongoMissingCredentialsError,
  MongoParseError,
  MongoServerError,
  MongoServerSelectionError,
  type MongoClientOptions,
} from 'mongodb';
import { CancelledError, UsageError, UserError } from '../step/errors.ts';
import { Secret } from '../step/input.ts';
import { asksForTls, hasLogin, redactUri, refuseUnescapedLogin, setsOption, singleHostUri } from './connection-string.ts';

export type Topology = 'standalone' | 'replica-set' | 'sharded';

/** A connected server. Call `close` in a finally. */
export interface MongoServer {
  client: MongoClient;
  topology: Topology;
  /** The server's version, such as 7.0.2; what it claims to speak when it is not MongoDB's own. */
  version: string;
  /** Set when the server is another product that speaks MongoDB's protocol: FerretDB, mongo-java-server. */
  product?: string | undefined;
  setName?: string | undefined;
  /** host:port of every member, sorted; of the addresses given when the server tells none. */
  hosts: string[];
  /** Identity of the deployment without credentials: `rs0/a:27017,b:27017` or `a:27017`. */
  fingerprint: string;
  /** Whether logical sessions are supported; without them a cursor lives by its connection alone. */
  sessions: boolean;
  /** Documents and bytes that one write command may carry. */
  maxWriteBatchSize: number;
  close(): Promise<void>;
}

const SELECTION_TIMEOUT_MS = 10_000;

/**
 * Connects and asks the server what it is.
 * @throws UsageError for a connection string that cannot be read
 * @throws UserError when the server cannot be reached or does not let us in
 */
export async function connectMongo(uri: Secret, options: { signal?: AbortSignal; driver?: MongoClientOptions } = {}): Promise<MongoServer> {
  refuseUnescapedLogin(uri);
  const text = uri.reveal();
  let client: MongoClient;
  try {
    client = new MongoClient(text, {
      appName: 'lifeboat',
      // Options here would win over the connection string.
      ...(setsOption(uri, 'serverSelectionTimeoutMS') ? {} : { serverSelectionTimeoutMS: SELECTION_TIMEOUT_MS }),
      ...(setsOption(uri, 'connectTimeoutMS') ? {} : { connectTimeoutMS: SELECTION_TIMEOUT_MS }),
      maxPoolSize: 20,
      ...options.driver,
    });
  } catch (thrown) {
    throw explainMongoError(thrown, uri);
  }
  const abort = (): void => void client.close().catch(() => undefined);
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    await client.connect();
    return await describe(client, uri);
  } catch (thrown) {
    await client.close().catch(() => undefined);
    if (options.signal?.aborted) throw new CancelledError('Cancelled while connecting to MongoDB.', { cause: thrown });
    throw explainMongoError(thrown, uri);
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}

async function describe(client: MongoClient, uri: Secret): Promise<MongoServer> {
  const admin = client.db('admin');
  const hello = await admin.command({ hello: 1 }).catch(() => admin.command({ isMaster: 1 }));
  const build = await admin.command({ buildInfo: 1 });
  // A wrong password is found out while connecting; a missing one only when something is asked for.
  await admin.command({ listDatabases: 1, nameOnly: true }).catch((cause: unknown) => {
    if (!(cause instanceof MongoServerError) || cause.code !== 13 || hasLogin(uri)) return;
    throw new UserError('MongoDB asks for a login, and the connection string has none.', {
      fix: 'Write it like mongodb://user:password@host:27017/?authSource=admin.',
      cause,
    });
  });
  const given = client.options.hosts.map(String).sort();
  const told = [hello['hosts'], hello['passives']].flat().filter((host): host is string => typeof host === 'string');
  const setName = typeof hello['setName'] === 'string' ? hello['setName'] : undefined;
  const topology: Topology = hello['msg'] === 'isdbgrid' ? 'sharded' : setName === undefined ? 'standalone' : 'replica-set';
  const hosts = told.length > 0 ? told.sort() : given;
  const product = productOf(build);
  return {
    client,
    topology,
    version: String(build['version']),
    product,
    setName,
    hosts,
    fingerprint: (setName === undefined ? '' : `${setName}/`) + hosts.join(','),
    sessions: typeof hello['logicalSessionTimeoutMinutes'] === 'number',
    maxWriteBatchSize: typeof hello['maxWriteBatchSize'] === 'number' ? hello['maxWriteBatchSize'] : 1000,
    close: () => client.close(),
  };
}

function productOf(build: Record<string, unknown>): string | undefined {
  if ('ferretdbVersion' in build || 'ferretdb' in build || 'ferretdbFeatures' in build) return 'FerretDB';
  // The Java server fills in next to nothing of what mongod tells about its build.
  if (!('allocator' in build) && !('modules' in build) && !('javascriptEngine' in build)) return 'a MongoDB-compatible server';
  return undefined;
}

/**
 * A second connection to the one member that will hold our cursors, where commands could otherwise land on different members:
 * several mongos, or a read preference other than primary.
 * @returns the server itself where one connection is enough; closing it twice does no harm
 */
export async function pinToOneMember(server: MongoServer, uri: Secret, signal?: AbortSignal): Promise<MongoServer> {
  const mode = server.client.readPreference.mode;
  const severalRouters = server.topology === 'sharded' && server.client.options.hosts.length > 1;
  if (!severalRouters && (server.topology !== 'replica-set' || mode === 'primary')) return server;
  const hello = await server.client.db('admin').command({ hello: 1 }, { readPreference: server.client.readPreference });
  const hosts = typeof hello['me'] === 'string' ? [hello['me']] : server.client.options.hosts.map(String);
  const direct = await connectToFirst(uri, hosts, signal);
  return { ...direct, topology: server.topology, hosts: server.hosts, fingerprint: server.fingerprint };
}

/** One router that is down must not keep another one from being used. @throws as `connectMongo`, for the last host */
async function connectToFirst(uri: Secret, hosts: readonly string[], signal: AbortSignal | undefined): Promise<MongoServer> {
  const [host = '', ...others] = hosts;
  try {
    return await connectMongo(new Secret(singleHostUri(uri, host)), signal ? { signal } : {});
  } catch (thrown) {
    if (others.length === 0 || thrown instanceof CancelledError) throw thrown;
    return connectToFirst(uri, others, signal);
  }
}

/** Turns what the driver throws into a sentence and a fix; passes our own errors through. */
export function explainMongoError(thrown: unknown, uri: Secret, doing = 'Connecting to MongoDB failed'): Error {
  if (thrown instanceof UserError || !(thrown instanceof Error)) return thrown as Error;
  const said = redactUri(thrown.message, uri);
  const cause = thrown;
  if (thrown instanceof MongoServerError) return explainServerError(thrown, said, doing);
  if (thrown instanceof MongoServerSelectionError) return unreachable(thrown, said, uri);
  if (isAboutConnectionString(thrown)) {
    return new UsageError(`The MongoDB connection string cannot be read: ${said}.`, {
      fix: 'Write it like mongodb://user:password@host:27017/?authSource=admin, with special characters of the password percent-encoded.',
      cause,
    });
  }
  const code = (thrown as { code?: unknown }).code;
  if (code === 'ENOTFOUND' || code === 'ENODATA' || code === 'ETIMEOUT' || code === 'ESERVFAIL') {
    return new UserError(`The MongoDB host name cannot be resolved: ${said}.`, {
      fix: 'Check the host name in the connection string and the DNS of this machine.',
      cause,
    });
  }
  if (thrown.name.startsWith('Mongo')) {
    return new UserError(`${doing}: ${said}.`, {
      fix: 'Check that the server is up and that the network between stays up, then run again.',
      cause,
    });
  }
  return thrown;
}

/** The parser of connection strings has a MongoParseError of its own. */
function isAboutConnectionString(thrown: Error): boolean {
  return (
    thrown instanceof MongoParseError ||
    thrown.name === 'MongoParseError' ||
    thrown instanceof MongoInvalidArgumentError ||
    thrown instanceof MongoMissingCredentialsError
  );
}

function explainServerError(thrown: MongoServerError, said: string, doing: string): UserError {
  const cause = thrown;
  // An Int32 where values are not turned into JavaScript's.
  switch (Number(thrown.code)) {
    case 18:
    case 8000:
      return new UserError('MongoDB refused the login: user or password is wrong.', {
        fix: 'Check user, password and authSource in the connection string (authSource=admin unless the user was created in another database).',
        cause,
      });
    case 13:
      return new UserError(`${doing}: the login is not allowed to do this (${said}).`, {
        fix: 'Give the user the role "backup" for backups, "restore" for restores, and "clusterMonitor" to see the topology.',
        cause,
      });
    default:
      return new UserError(`${doing}: ${said}.`, { cause, ...(INTERRUPTED.has(Number(thrown.code)) ? { fix: RUN_AGAIN } : {}) });
  }
}

/**
 * CursorNotFound, ShutdownInProgress, QueryPlanKilled, PrimarySteppedDown, NotWritablePrimary, InterruptedAtShutdown,
 * InterruptedDueToReplStateChange, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary.
 */
const INTERRUPTED: ReadonlySet<number> = new Set([43, 91, 175, 189, 10107, 11600, 11602, 13435, 13436]);
const RUN_AGAIN = 'Run again: meanwhile a member of the replica set was restarted or changed its role, or a collection was dropped.';

const TRUST = "Trust the server's certificate authority: NODE_EXTRA_CA_CERTS=<file>, or tlsCAFile=<file> in the connection string.";

function unreachable(thrown: MongoServerSelectionError, said: string, uri: Secret): UserError {
  const reasons: string[] = [];
  for (const server of thrown.reason?.servers.values() ?? []) {
    if (server.error) reasons.push(`${server.address}: ${redactUri(server.error.message, uri)}`);
  }
  const text = reasons[0] ?? said;
  const fix = /certificate|self.signed|unable to verify/i.test(text)
    ? TRUST
    : /ENOTFOUND|EAI_AGAIN/.test(text)
      ? 'Check the host name in the connection string and the DNS of this machine.'
      : /ECONNREFUSED/.test(text)
        ? 'Check host and port, and that the server is up and listens on that address.'
        : /SSL|TLS|EPROTO/i.test(text) || asksForTls(uri)
          ? `${TRUST} Or the server speaks no TLS: then leave tls=true out.`
          : 'Check that the server is up, that a firewall or IP access list lets this machine in, and that replicaSet= names the right set.';
  return new UserError(`MongoDB cannot be reached: ${text}.`, { fix, cause: thrown });
}

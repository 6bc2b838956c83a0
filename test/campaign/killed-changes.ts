// Sees every change that a process makes to the world: to files, over https to stores and vaults, and to a MongoDB.
import https from 'node:https';
import promises, { type FileHandle } from 'node:fs/promises';
import { createRequire, syncBuiltinESMExports } from 'node:module';

type Callable = (this: unknown, ...args: unknown[]) => unknown;

export interface Watcher {
  /** Called before a change is made; what it is, for people. */
  change: (what: string) => void;
  /** Called at the first look at a store or a vault, and at every later one. */
  touch: () => void;
}

const WRITING_COMMANDS = new Set(['insert', 'update', 'delete', 'drop', 'dropDatabase', 'create', 'createIndexes', 'renameCollection']);

/** Starts watching. Must be called before the modules under test run, not before they are loaded. */
export function watchChanges(watcher: Watcher): void {
  watchFiles(watcher);
  watchHttps(watcher);
  watchMongo(watcher);
  syncBuiltinESMExports();
}

function before(owner: object, name: string, look: (args: unknown[]) => void): void {
  const methods = owner as Record<string, Callable>;
  const original = methods[name];
  if (!original) throw new Error(`there is no ${name}`);
  methods[name] = function (...args) {
    look(args);
    return original.apply(this, args);
  };
}

function watchFiles({ change, touch }: Watcher): void {
  for (const name of ['link', 'rename', 'unlink', 'rm', 'mkdir', 'rmdir', 'chmod']) {
    before(promises, name, ([path]) => {
      touch();
      change(`${name} ${String(path)}`);
    });
  }
  for (const name of ['readdir', 'stat', 'lstat']) before(promises, name, touch);
  before(promises, 'open', ([path, flags]) => {
    touch();
    if (flags !== undefined && flags !== 'r' && flags !== 0) change(`open ${String(path)}`);
  });
  // The class of file handles is known by its instances only.
  const functions = promises as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const open = functions['open'] as (...args: unknown[]) => Promise<FileHandle>;
  let watched = false;
  functions['open'] = async (...args) => {
    const handle = await open(...args);
    if (!watched) {
      watched = true;
      const prototype = Object.getPrototypeOf(handle) as object;
      // Not `sync`: what was written outlives a killed process as it is, so that a kill before it finds what a kill after it finds.
      for (const name of ['write', 'writeFile']) {
        before(prototype, name, () => {
          change(`${name} of an open file`);
        });
      }
    }
    return handle;
  };
}

function watchHttps({ change, touch }: Watcher): void {
  before(https, 'request', (args) => {
    const options = (args.find((arg) => typeof arg === 'object' && !(arg instanceof URL)) ?? {}) as https.RequestOptions;
    const { method = 'GET', path = '' } = options;
    // Signing in changes nothing.
    if (path?.includes('/oauth2/') || path?.includes('/.well-known/')) return;
    touch();
    if (method !== 'GET' && method !== 'HEAD') change(`${method} ${path ?? ''}`);
  });
}

function watchMongo({ change }: Watcher): void {
  const load = createRequire(import.meta.url);
  const { Connection } = load('mongodb/lib/cmap/connection') as { Connection: { prototype: object } };
  before(Connection.prototype, 'command', ([namespace, command]) => {
    const [verb = ''] = Object.keys(command as object);
    if (WRITING_COMMANDS.has(verb)) change(`${verb} in ${String((namespace as { db?: string }).db)}`);
  });
}

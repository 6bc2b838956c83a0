// Runs the real command line and kills it with SIGKILL at one exact moment: `node killed-run.ts <moment> <arguments of lifeboat…>`.
// Moments: `store.put:after`, `vault.set:before`, `store.open#2:chunk`, `lock.release:before`, `store.write:before@manifest.json`;
// `change:7`, before the seventh change to a file, an object, a secret or the database; `change:none` kills nobody and prints all changes.
// To a parent with a channel it tells when the first look at a store or a vault is taken: random kills count from there.
import { openStore } from '../../shared/stores/open.ts';
import { FolderStore } from '../../shared/stores/folder/index.ts';
import { AzureKeyVault } from '../../shared/vaults/azure-key-vault/index.ts';
import { FolderVault } from '../../shared/vaults/folder/index.ts';
import { runCli } from '../../shared/cli/program.ts';
import { endProcess } from '../../shared/entries/end.ts';
import { watchChanges } from './killed-changes.ts';

type Method = (this: unknown, ...args: unknown[]) => unknown;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way: nothing of ours may run meanwhile.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

interface Moment {
  object: string;
  method: string;
  nth: number;
  when: 'before' | 'chunk' | 'after';
  /** The end of the object's name, where it matters. */
  name: string;
}

function parseMoment(text: string): Moment {
  const [, object = '', method = '', nth = '1', when = '', name = ''] = /^(\w+)\.(\w+)(?:#(\d+))?:(\w+)(?:@(.+))?$/.exec(text) ?? [];
  if (when !== 'before' && when !== 'chunk' && when !== 'after') throw new Error(`${text} is not a moment`);
  return { object, method, nth: Number(nth), when, name };
}

/** Replaces a method of a class by one that dies at its moment. */
function patch(prototype: object, moment: Moment): void {
  const methods = prototype as Record<string, Method>;
  const original = methods[moment.method];
  if (!original) throw new Error(`there is no method ${moment.method}`);
  let calls = 0;
  methods[moment.method] = function (...args) {
    const [name] = args;
    if (moment.name !== '' && !(typeof name === 'string' && name.endsWith(moment.name))) return original.apply(this, args);
    calls += 1;
    if (calls !== moment.nth) return original.apply(this, args);
    if (moment.when === 'before') die();
    if (moment.when === 'chunk' && moment.method === 'put') {
      const [, source, ...rest] = args;
      return original.call(this, name, dyingStream(source as AsyncIterable<unknown>, 'chunk'), ...rest);
    }
    const result = original.apply(this, args);
    if (result instanceof Promise) return result.then(die);
    return dyingStream(result as AsyncIterable<unknown>, moment.when);
  };
}

async function* dyingStream(source: AsyncIterable<unknown>, when: Moment['when']): AsyncGenerator {
  for await (const chunk of source) {
    yield chunk;
    if (when === 'chunk') die();
  }
  die();
}

/** Dies when the lock is given back, which is a method of the lock and not of the store. */
function patchRelease(prototype: object): void {
  const methods = prototype as Record<string, Method>;
  const original = methods['lock'] as (...args: unknown[]) => Promise<{ release: () => Promise<void> }>;
  methods['lock'] = async function (...args) {
    const lock = await original.apply(this, args);
    return { ...lock, release: async () => die() };
  };
}

async function prepare(what: string): Promise<void> {
  // The class of blob stores is known by its instances only.
  const blob = Object.getPrototypeOf(await openStore('https://127.0.0.1:1/devstore1/none?sig=none')) as object;
  const prototypes = what.startsWith('vault.') ? [FolderVault.prototype, AzureKeyVault.prototype] : [FolderStore.prototype, blob];
  for (const prototype of prototypes) {
    if (what === 'lock.release:before') patchRelease(prototype);
    else patch(prototype, parseMoment(what));
  }
}

const [what = '', ...args] = process.argv.slice(2);
const deadly = /^change:(\d+|none)$/.exec(what)?.[1];
const changes: string[] = [];
let touched = false;
watchChanges({
  change: (change) => {
    changes.push(change);
    if (changes.length === Number(deadly)) die();
  },
  touch: () => {
    if (!touched) process.send?.('at work');
    touched = true;
  },
});
if (deadly === undefined) await prepare(what);
await runCli(args);
if (deadly === 'none') process.stdout.write(`\nchanges: ${JSON.stringify(changes)}\n`);
if (process.connected) process.disconnect();
await endProcess();

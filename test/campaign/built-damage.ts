// What a pipeline sees of damage: everything that a store keeps is flipped, cut, removed and replaced, and the built steps judge it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { startMongo } from '../backends/mongodb.ts';
import { BuiltSteps, ensureBuilt, type BuiltRun } from './built-steps.ts';
import { changesOf, chosen, classify, harmless, type Change, type Subject } from './built-changes.ts';
import type { Part, Trial } from './part.ts';
import { RawFiles, type RawStore, type Stored } from './raw-store.ts';
import { smallArchive } from './small-backup.ts';
import { SITE_KINDS, startSite, type SiteKind } from './store-site.ts';

const OLD = '20241201_120000';
const NAMES: Readonly<Record<SiteKind, string>> = { folder: 'a folder', blob: 'Azure Blob', s3: 'S3', sftp: 'an SFTP server' };

export const builtDamage: readonly Part[] = SITE_KINDS.map((kind) => ({
  name: `built-${kind}`,
  what: `data, manifests, metadata, keys, holds, points, records, status and locks in ${NAMES[kind]} damaged, judged by the built steps`,
  run: async (trial: Trial) => {
    ensureBuilt();
    const site = await startSite(kind, trial.folder);
    if (typeof site === 'string') {
      trial.skip(site);
      return;
    }
    const mongo = await startMongo();
    try {
      await fill(mongo.uri);
      const folder = join(trial.folder, 'pipeline');
      const vault = join(trial.folder, 'vault');
      mkdirSync(folder);
      const { config, raw } = await site.place('backups');
      writeFileSync(join(folder, 'dr.yml'), drYml(config, vault));
      writeFileSync(join(folder, 'old.archive'), await smallArchive());
      const steps = new BuiltSteps({ cwd: folder, env: { ...site.env, DR_MONGODB: mongo.uri } });
      try {
        await new Damaging(trial, steps, raw, new RawFiles(vault, join(trial.folder, 'keys-aside'))).run();
      } finally {
        await steps.close();
      }
    } finally {
      await Promise.all([mongo.stop(), site.stop()]);
    }
  },
}));

async function fill(uri: string): Promise<void> {
  const client = new MongoClient(uri);
  for (const name of ['chat', 'shop']) {
    await client.db(name).collection('things').deleteMany({});
    await client
      .db(name)
      .collection('things')
      .insertMany([{ text: 'one' }, { text: 'two' }]);
  }
  await client.close();
}

/** JSON is YAML, too. */
function drYml(store: Record<string, unknown>, vault: string): string {
  const component = (include: string) => ({
    kind: 'mongodb',
    source: { uri: '${env:DR_MONGODB}' },
    engine: 'driver',
    include: [include],
    store: 'main',
    retention: { last: 1 },
  });
  return JSON.stringify({
    version: 1,
    name: 'prod',
    stores: { main: store },
    vault: { kind: 'folder', path: vault },
    components: { chat: component('chat'), shop: component('shop') },
  });
}

/** What a step says of its own defects. */
const DEFECT = /defect in Lifeboat|Unexpected error|\n\s+at \S+ \(|TypeError|in the middle of/;

class Damaging {
  readonly #trial: Trial;
  readonly #steps: BuiltSteps;
  readonly #store: RawStore;
  readonly #vault: RawStore;
  /** Of the recovery point: the newest backup of both components. */
  #new = '';
  #cases = 0;
  #real = 0;

  constructor(trial: Trial, steps: BuiltSteps, store: RawStore, vault: RawStore) {
    this.#trial = trial;
    this.#steps = steps;
    this.#store = store;
    this.#vault = vault;
  }

  async run(): Promise<void> {
    await this.#prepare();
    const before = await snapshot(this.#store);
    const keys = await snapshot(this.#vault);
    await this.#wellAndWhole('before anything is damaged');
    await this.#clean(before);
    const things = [...this.#things(this.#store, before), ...this.#things(this.#vault, keys)];
    for (const thing of this.#some(things)) await this.#damage(thing, before);
    await this.#wellAndWhole('with everything put back');
  }

  /** An old backup with a hold, a recovery point of two components, what status keeps, and the lock that the runs left. */
  async #prepare(): Promise<void> {
    const made = async (...args: string[]): Promise<BuiltRun> => {
      const run = await this.#steps.run(...args);
      if (run.code !== 0) throw new Error(`${args.join(' ')} ended with ${String(run.code)}: ${run.said}`);
      return run;
    };
    await made('import-backup', '--component', 'chat', '--file', 'old.archive', '--timestamp', OLD);
    await made('hold-backup', '--component', 'chat', '--timestamp', OLD, '--reason', 'an investigation');
    await made('backup-all');
    await made('status', '--fail-on', 'never');
    const { json } = await made('list-backups', '--component', 'chat');
    const [latest] = (json?.result as { backups: { timestamp: string }[] }).backups;
    this.#new = latest?.timestamp ?? '';
  }

  async #wellAndWhole(when: string): Promise<void> {
    for (const args of [['verify', '--all', '--detailed', '--component', 'chat'], ['verify', this.#new], ['list-backups']]) {
      const run = await this.#steps.run(...args, ...(args[0] === 'list-backups' ? ['--component', 'chat'] : []));
      this.#trial.holds(`${args.join(' ')} ${when} ends with ${String(run.code)}: ${tail(run)}`, run.code === 0);
    }
  }

  #things(place: RawStore, all: ReadonlyMap<string, Stored>): Thing[] {
    return [...all].flatMap(([name, stored]) => {
      const subject = classify(name, stored, place === this.#vault);
      return subject ? [{ place, name, stored, subject }] : [];
    });
  }

  /** All of them when everything is tried; else two of each kind, and one of those that belong to no backup. */
  #some(things: readonly Thing[]): Thing[] {
    const taken = new Map<string, number>();
    return chosen(this.#trial, things, things.length).filter(({ subject: { kind, title, backup } }) => {
      const group = `${kind} ${String(title.startsWith('metadata'))}`;
      const count = (taken.get(group) ?? 0) + 1;
      taken.set(group, count);
      return this.#trial.full || count <= (backup ? 2 : 1);
    });
  }

  async #damage(thing: Thing, before: ReadonlyMap<string, Stored>): Promise<void> {
    const { place, name, stored, subject } = thing;
    const changes = changesOf(this.#trial, subject, stored, before);
    for (const change of chosen(this.#trial, changes, subject.backup ? 6 : 3)) {
      this.#trial.goOn();
      if (change.changed) await place.put(name, change.changed);
      else await place.remove(name);
      try {
        await this.#judge({ ...thing, change });
      } finally {
        await place.restore(name, stored);
        await this.#clean(before);
      }
    }
  }

  /** Takes away what the runs of a case have left: what one of them found must not help the next. */
  async #clean(before: ReadonlyMap<string, Stored>): Promise<void> {
    const names = await this.#store.names();
    for (const name of names) if (!before.has(name)) await this.#store.remove(name).catch(() => undefined);
    const there = new Set(names);
    for (const [name, stored] of before) if (!there.has(name) || /status\.json$/.test(name)) await this.#store.restore(name, stored);
  }

  async #judge(one: Case): Promise<void> {
    this.#cases += 1;
    const { subject } = one;
    const label = `${subject.title}: ${one.change.label}`;
    if (subject.backup) await this.#backup(one, label, subject.backup);
    else await this.#beside(one, label);
    // Whatever it is: no listing stops, and what is whole is found.
    const turn = [
      ['list-backups', '--component', 'chat'],
      ['status', '--fail-on', 'never'],
      ['audit'],
      ['apply-retention', '--component', 'chat', '--dry-run'],
    ];
    await this.#alive(label, turn[this.#cases % turn.length] as string[], one);
  }

  /** Something of one backup: it is never called good, and the others are. */
  async #backup({ name, stored, change }: Case, label: string, { component, timestamp }: { component: string; timestamp: string }) {
    const allowed = harmless(name, stored, change.changed);
    const depth = this.#trial.random.chance(0.3) ? 'stored' : 'full';
    const args = ['backup-validation', '--component', component, '--timestamp', timestamp, '--depth', depth];
    const run = await this.#steps.run(...args);
    if (allowed)
      this.#trial.holds(`${label}: ${args.join(' ')} ends with ${String(run.code)}: ${tail(run)}`, [0, 4].includes(run.code ?? -1));
    else this.#refused(label, run, timestamp);
    if (timestamp === this.#new && this.#trial.random.chance(0.3)) {
      const latest = await this.#steps.run('backup-validation', '--component', component);
      if (!allowed) this.#notCalledGood(`${label}: the latest`, latest, component, timestamp);
      const point = await this.#steps.run('verify', timestamp);
      if (!allowed) this.#refused(`${label}: verify of the recovery point`, point, timestamp);
    }
    const other = timestamp === OLD ? this.#new : OLD;
    const whole = await this.#steps.run('backup-validation', '--component', 'chat', '--timestamp', component === 'chat' ? other : OLD);
    this.#trial.holds(`${label}: the other backup ends with ${String(whole.code)}: ${tail(whole)}`, whole.code === 0);
    if (!allowed) await this.#onRealHosts(label, component, timestamp);
  }

  /** A share of the cases as the hosts run them, each in a process of its own. */
  async #onRealHosts(label: string, component: string, timestamp: string): Promise<void> {
    const every = this.#trial.full ? 25 : 12;
    if (this.#cases % every !== 1) return;
    const host = (['github', 'azure', 'terminal'] as const)[(this.#real += 1) % 3] ?? 'terminal';
    const run = await this.#steps.onHost(host, 'backup-validation', { component, timestamp });
    this.#refused(`${label}: on ${host}`, run, timestamp);
  }

  /** Something beside the backups: they are good as before, and nothing that a person protected goes. */
  async #beside({ name, subject, change }: Case, label: string): Promise<void> {
    const run = await this.#steps.run('backup-validation', '--component', 'chat');
    this.#trial.holds(`${label}: backup-validation ends with ${String(run.code)}: ${tail(run)}`, [0, 3].includes(run.code ?? -1));
    this.#noDefect(label, run);
    const own = !subject.title.startsWith('metadata');
    const unreadable = own && change.changed !== undefined && !isObject(change.changed.bytes);
    if (subject.kind === 'hold' && unreadable) {
      const plan = await this.#steps.run('apply-retention', '--component', 'chat', '--dry-run');
      const goes = plan.code === 0 && removed(plan).includes(OLD);
      this.#trial.holds(`${label}: a backup whose hold cannot be read goes: ${tail(plan)}`, !goes, 'detected');
    }
    if (subject.kind === 'point' && unreadable) this.#refused(label, await this.#steps.run('verify', this.#new), this.#new);
    if (subject.kind === 'lock') {
      const held = await this.#steps.run(
        'import-backup',
        '--component',
        'chat',
        '--file',
        'old.archive',
        '--timestamp',
        '20241101_120000',
        '--lock-wait',
        '0s',
      );
      const fix = Number(/free (?:with)?in (\d+) seconds/.exec(held.said)?.[1] ?? 0);
      this.#trial.holds(
        `${label}: a writing run ends with ${String(held.code)}: ${tail(held)}`,
        // Ten minutes, and the second that an SFTP server's clock is coarse by, rounded up.
        held.code === 0 || (held.code === 5 && fix <= 602),
      );
    }
    if (subject.kind === 'point' && name.endsWith('.json')) this.#noDefect(label, await this.#steps.run('verify', this.#new));
  }

  async #alive(label: string, args: readonly string[], { subject }: Case): Promise<void> {
    const run = await this.#steps.run(...args);
    this.#noDefect(`${label}: ${args.join(' ')}`, run);
    if (args[0] !== 'list-backups') return;
    this.#trial.holds(`${label}: list-backups ends with ${String(run.code)}: ${tail(run)}`, [0, 3].includes(run.code ?? -1));
    const lost = [OLD, this.#new].filter((timestamp) => subject.backup?.timestamp !== timestamp && !run.said.includes(timestamp));
    this.#trial.holds(`${label}: list-backups does not show ${lost.join(' and ')}`, lost.length === 0);
  }

  #refused(label: string, run: BuiltRun, timestamp: string): void {
    this.#noDefect(label, run);
    const refused = run.outcome !== 'succeeded' && run.code !== 2;
    // A key has the timestamp in its name, with other signs between.
    const named = run.said.includes(timestamp) || run.said.includes(timestamp.replace('_', '-'));
    this.#trial.holds(
      `${label}: ends with ${String(run.code)}${named ? '' : ' and does not name it'}: ${tail(run)}`,
      refused && named,
      'detected',
    );
  }

  /** The newest may be gone from sight when its manifest is; what is not said is that it is good. */
  #notCalledGood(label: string, run: BuiltRun, component: string, timestamp: string): void {
    this.#noDefect(label, run);
    const { checked = [] } = (run.json?.result ?? {}) as { checked?: { component: string; timestamp: string; problem?: string }[] };
    const good = run.code === 0 && checked.some((row) => row.component === component && row.timestamp === timestamp);
    this.#trial.holds(`${label} is called good: ${tail(run)}`, !good, 'detected');
  }

  #noDefect(label: string, run: BuiltRun): void {
    if (run.code === null || run.outcome === undefined || DEFECT.test(run.said)) this.#trial.slip(`${label}: a defect: ${tail(run)}`);
  }
}

/** Something stored, and where. */
interface Thing {
  place: RawStore;
  name: string;
  stored: Stored;
  subject: Subject;
}

interface Case extends Thing {
  change: Change;
}

function tail({ said }: BuiltRun): string {
  const text = said.replace(/^\{.*\}$/gm, '').trim();
  return (text === '' ? said : text).slice(-600).replaceAll('\n', ' | ');
}

/** Timestamps that a plan of retention takes away. */
function removed({ json }: BuiltRun): string[] {
  const { sections = [] } = (json?.result ?? {}) as { sections?: { backups: { timestamp: string; keep: boolean }[] }[] };
  return sections.flatMap(({ backups }) => backups.filter(({ keep }) => !keep).map(({ timestamp }) => timestamp));
}

function isObject(bytes: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

async function snapshot(store: RawStore): Promise<ReadonlyMap<string, Stored>> {
  const found = new Map<string, Stored>();
  for (const name of await store.names()) found.set(name, await store.read(name));
  return found;
}

// The changes that are made to one stored thing: bits, cuts, losses, other things in its place, and texts that a stranger would write.
import type { Trial } from './part.ts';
import type { Stored } from './raw-store.ts';

export interface Change {
  label: string;
  /** Undefined: it is gone. */
  changed: Stored | undefined;
}

/** What a stored thing is, as told from its name. */
export interface Subject {
  /** For people: the object whose metadata it is, where it is a file of its own. */
  title: string;
  kind: 'data' | 'manifest' | 'metadata' | 'key' | 'hold' | 'point' | 'run' | 'audit' | 'status' | 'lock' | 'beside';
  /** The one backup that it belongs to. */
  backup?: { component: string; timestamp: string };
}

const BACKUP = /^prod\/(\w+)\/(\d{8}_\d{6})\/(data|manifest\.json)$/;
const FOLDERS: readonly [RegExp, Subject['kind']][] = [
  [/(?:^|\/)holds\//, 'hold'],
  [/(?:^|\/)points\//, 'point'],
  [/(?:^|\/)runs\//, 'run'],
  [/(?:^|\/)audit\//, 'audit'],
  [/(?:^|\/)status\.json$/, 'status'],
  [/(?:^|\/)locks\//, 'lock'],
];

/** @param isKey it lies in the vault @returns undefined for what is left alone */
export function classify(name: string, stored: Stored, isKey: boolean): Subject | undefined {
  if (isKey) {
    const [, component = '', date = '', time = ''] = /^lifeboat-(\w+)-(\d{8})-(\d{6})/.exec(name) ?? [];
    return component === '' ? undefined : { title: name, kind: 'key', backup: { component, timestamp: `${date}_${time}` } };
  }
  const whose = sidecarOf(name, stored) ?? name;
  const title = whose === name ? name : `metadata of ${whose}`;
  const [, component = '', timestamp = '', file] = BACKUP.exec(whose) ?? [];
  if (file !== undefined) {
    const kind = whose === name ? (file === 'data' ? 'data' : 'manifest') : 'metadata';
    return { title, kind, backup: { component, timestamp } };
  }
  return { title, kind: FOLDERS.find(([pattern]) => pattern.test(whose))?.[1] ?? 'beside' };
}

/** The object whose metadata a file of its own holds; undefined for anything else. */
function sidecarOf(name: string, { bytes }: Stored): string | undefined {
  return name.startsWith('.lifeboat/metadata/') ? sidecar(bytes)?.name : undefined;
}

interface Sidecar {
  name: string;
  metadata: Record<string, string>;
}

function sidecar(bytes: Buffer): Sidecar | undefined {
  try {
    const value = JSON.parse(bytes.toString()) as Partial<Sidecar> | null;
    return typeof value?.name === 'string' && typeof value.metadata === 'object' && (value.metadata as unknown) !== null
      ? (value as Sidecar)
      : undefined;
  } catch {
    return undefined;
  }
}

/** What only the run that wrote it reads, or S3's own bookkeeping of a write. */
const UNREAD = new Set(['attempt', 'origin', 'lifeboat-write']);

/** True when the change leaves a backup what it was: another spelling of the same metadata, fields that are not read, a key file's white space. */
export function harmless(name: string, before: Stored, after: Stored | undefined): boolean {
  // A key that opens the backup all the same is good: the whole backup is read through it.
  if (after && name.startsWith('lifeboat-')) return true;
  const [one, other] = [sidecar(before.bytes), after && sidecar(after.bytes)];
  if (one && other) return read(one.metadata) === read(other.metadata);
  return after !== undefined && before.bytes.equals(after.bytes) && read(before.metadata ?? {}) === read(after.metadata ?? {});
}

function read(metadata: Readonly<Record<string, string>>): string {
  const entries = Object.entries(metadata).filter(([key]) => !UNREAD.has(key));
  return JSON.stringify(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

const STRANGE = [
  'null',
  '[]',
  '{}',
  '"text"',
  '0',
  '{"kind":"__proto__"}',
  '{"__proto__":{"kind":"mongodb"},"formatVersion":1}',
  '['.repeat(5000),
];
const STRANGE_VALUES = ['__proto__', 'null', '', '-1', '1e999', 'constructor', '9'.repeat(40), 'postgresql'];

/** What can be done to one thing: bits and cuts are samples, of which there are more when the campaign runs in full. */
export function changesOf(trial: Trial, subject: Subject, stored: Stored, all: ReadonlyMap<string, Stored>): Change[] {
  return [...changes(trial, subject, stored, all)];
}

function* changes(trial: Trial, { kind, backup }: Subject, stored: Stored, all: ReadonlyMap<string, Stored>): Generator<Change> {
  const { bytes, metadata } = stored;
  const { random, full } = trial;
  const ofBackup = backup !== undefined;
  const some = full ? (ofBackup ? 4 * trial.rounds : trial.rounds) : ofBackup ? 3 : 1;
  const whole = (changed: Buffer): Stored => (metadata ? { bytes: changed, metadata } : { bytes: changed });
  for (let n = 0; n < some && bytes.length > 0; n += 1) {
    const at = random.below(bytes.length);
    const bit = 1 << random.below(8);
    const flipped = Buffer.from(bytes);
    flipped[at] = (bytes[at] as number) ^ bit;
    yield { label: `byte ${at} ^ ${bit}`, changed: whole(flipped) };
    if (n * 2 >= some) continue;
    const length = random.below(bytes.length);
    yield { label: `cut at ${length}`, changed: whole(bytes.subarray(0, length)) };
  }
  yield { label: 'gone', changed: undefined };
  if (ofBackup || full) yield { label: 'empty', changed: whole(Buffer.alloc(0)) };
  if (ofBackup || full) yield { label: 'longer', changed: whole(Buffer.concat([bytes, Buffer.from('x')])) };
  if (kind !== 'data') {
    for (const text of chosen(trial, STRANGE, ofBackup ? 2 : 1))
      yield { label: `replaced by ${text.slice(0, 40)}`, changed: whole(Buffer.from(text)) };
  }
  if (kind === 'lock') yield { label: 'held for ever', changed: whole(Buffer.from('H{"owner":"a stranger","expiresAfter":9e15}')) };
  const others = [...all.values()].filter((other) => other.bytes.length > 0 && !other.bytes.equals(bytes));
  const other = others[random.below(others.length)];
  if (other && ofBackup) yield { label: 'replaced by another thing', changed: whole(other.bytes) };
  if (metadata && Object.keys(metadata).length > 0)
    yield* metadataChanges(trial, metadata, ofBackup ? 4 : 1, (changed) => ({ bytes, metadata: changed }));
  const beside = kind === 'metadata' ? sidecar(bytes) : undefined;
  if (beside) {
    yield* metadataChanges(trial, beside.metadata, 4, (changed) => ({
      bytes: Buffer.from(JSON.stringify({ ...beside, metadata: changed })),
    }));
    for (const value of [null, [], 'text', 7]) {
      if (!full && random.chance(0.5)) continue;
      yield {
        label: `metadata is ${JSON.stringify(value)}`,
        changed: { bytes: Buffer.from(JSON.stringify({ ...beside, metadata: value })) },
      };
    }
  }
}

function* metadataChanges(
  trial: Trial,
  metadata: Readonly<Record<string, string>>,
  some: number,
  made: (metadata: Record<string, string>) => Stored,
): Generator<Change> {
  yield { label: 'all metadata lost', changed: made({}) };
  for (const [key, value] of chosen(trial, Object.entries(metadata), some)) {
    const rest = Object.fromEntries(Object.entries(metadata).filter(([other]) => other !== key));
    yield { label: `metadata ${key} lost`, changed: made(rest) };
    if (value === '') continue;
    const at = trial.random.below(value.length);
    const letter = value[at] === '7' ? '8' : '7';
    yield {
      label: `metadata ${key}, letter ${at}`,
      changed: made({ ...metadata, [key]: value.slice(0, at) + letter + value.slice(at + 1) }),
    };
    const [strange = ''] = chosen(trial, STRANGE_VALUES, 1);
    yield { label: `metadata ${key} is ${JSON.stringify(strange)}`, changed: made({ ...metadata, [key]: strange }) };
  }
}

/** Some of a list in a random order; all of it when the campaign runs in full. */
export function chosen<T>({ random, full }: Trial, list: readonly T[], some: number): T[] {
  const mixed = list.map((one) => [random.next(), one] as const).sort(([one], [other]) => one - other);
  return mixed.slice(0, full ? list.length : some).map(([, one]) => one);
}

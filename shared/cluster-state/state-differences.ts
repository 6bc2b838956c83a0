// How two states of a cluster differ, each an archive: a backup, or the living cluster as it would be backed up now.
import type { KubeObject } from '../kubernetes/resources.ts';
import type { Differences } from '../backup/kind.ts';
import { objectsOf } from './archive.ts';
import { differencesOf, differenceText, digestOf } from './difference.ts';
import { objectName } from './objects.ts';
import { scrubbed, skipReason } from './scrub.ts';
import type { Selector } from './selection.ts';

type Change = Differences['changes'][number];

/** Changes that are told one by one. */
const MOST_LISTED = 1000;
/** Of changed objects so many bytes are held to say what differs; what is beyond is told as changed. */
const MOST_HELD_BYTES = 64 * 1024 * 1024;

/**
 * Reads the older state, the newer one, and where something changed the older one again: never more than the changed objects are in memory.
 * @throws VerificationError as `readArchive`, and what the readers throw
 */
export async function differencesBetween(
  older: () => AsyncIterable<Uint8Array>,
  newer: () => AsyncIterable<Uint8Array>,
  selector: Selector,
): Promise<Differences> {
  const before = new Map<string, string>();
  for await (const { path, object } of selected(older(), selector)) before.set(path, digestOf(object));
  const changes = new Map<string, Change>();
  const held = new Map<string, KubeObject>();
  const counts = { added: 0, changed: 0, removed: 0, equal: 0 };
  let bytes = 0;
  for await (const { path, name, object, size } of selected(newer(), selector)) {
    const digest = before.get(path);
    before.delete(path);
    const what = digest === undefined ? 'added' : digest === digestOf(object) ? 'equal' : 'changed';
    counts[what] += 1;
    if (what === 'equal' || changes.size >= MOST_LISTED) continue;
    changes.set(path, { name, what, differences: [] });
    if (what === 'changed' && bytes + size < MOST_HELD_BYTES) {
      held.set(path, object);
      bytes += size;
    }
  }
  counts.removed = before.size;
  if (held.size > 0 || before.size > 0) {
    for await (const { path, name, object } of selected(older(), selector)) {
      const now = held.get(path);
      if (now !== undefined) changes.set(path, { name, what: 'changed', differences: differencesOf(object, now).map(differenceText) });
      else if (before.has(path) && changes.size < MOST_LISTED) changes.set(path, { name, what: 'removed', differences: [] });
    }
  }
  return { ...counts, changes: [...changes.values()] };
}

interface Selected {
  path: string;
  name: string;
  object: KubeObject;
  size: number;
}

async function* selected(bytes: AsyncIterable<Uint8Array>, selector: Selector): AsyncGenerator<Selected> {
  for await (const { path, id, object, bytes: json } of objectsOf(bytes)) {
    const type = { ...id, kind: object.kind, namespaced: id.namespace !== undefined };
    if (!selector.meansType(type) || !selector.meansObject(type, object) || skipReason(type, object) !== undefined) continue;
    yield { path, name: objectName(id), object: scrubbed(type, object), size: json.length };
  }
}

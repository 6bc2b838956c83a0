// Which collections an archive's oplog changes: after its replay they hold something else than what was dumped.
import { BSON } from './bson.ts';

/** Adds the namespaces that one oplog entry changes. Entries that cannot be read add nothing; the archive's checksum covers them. */
export function noteTouched(entry: Uint8Array, touched: Set<string>): void {
  eachChange(entry, (name) => touched.add(name));
}

/** Keeps in `dropped` the collections that are gone after this entry, when it was fed all entries before. */
export function noteDropped(entry: Uint8Array, dropped: Set<string>): void {
  eachChange(entry, (name, verb) => {
    if (verb === 'drop') dropped.add(name);
    else dropped.delete(name);
  });
}

/** Told for each namespace that is changed. `verb`: the first word of a command (`drop`); undefined for a change of documents. */
type OnChange = (name: string, verb: string | undefined) => void;

function eachChange(entry: Uint8Array, onChange: OnChange): void {
  let operation: BSON.Document;
  try {
    operation = BSON.deserialize(entry, { promoteValues: true });
  } catch {
    // Not for us to judge: the bytes are as mongodump wrote them.
    return;
  }
  eachChangeOf(operation, onChange);
}

function eachChangeOf(operation: BSON.Document, onChange: OnChange): void {
  const name: unknown = operation['ns'];
  if (operation['op'] === 'n' || typeof name !== 'string') return;
  if (operation['op'] !== 'c') {
    onChange(name, undefined);
    return;
  }
  const command = (operation['o'] ?? {}) as BSON.Document;
  const nested: unknown = command['applyOps'];
  if (Array.isArray(nested)) {
    for (const inner of nested as unknown[]) if (inner !== null && typeof inner === 'object') eachChangeOf(inner, onChange);
    return;
  }
  // `create`, `drop`, `createIndexes` and the like name their collection first; `renameCollection` names two in full.
  const [verb, collection] = Object.entries(command)[0] ?? [];
  if (verb === 'renameCollection') {
    for (const full of [collection, command['to']]) if (typeof full === 'string') onChange(full, verb);
  } else if (typeof collection === 'string') onChange(`${name.slice(0, name.indexOf('.'))}.${collection}`, verb);
}

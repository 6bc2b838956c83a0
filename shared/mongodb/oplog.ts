// Which collections an archive's oplog changes: after its replay they hold something else than what was dumped.
import { BSON } from './bson.ts';

/** Adds the namespaces that one oplog entry changes. Entries that cannot be read add nothing; the archive's checksum covers them. */
export function noteTouched(entry: Uint8Array, touched: Set<string>): void {
  try {
    noteOperation(BSON.deserialize(entry, { promoteValues: true }), touched);
  } catch {
    // Not for the verifier to judge: the bytes are as mongodump wrote them.
  }
}

function noteOperation(operation: BSON.Document, touched: Set<string>): void {
  const name: unknown = operation['ns'];
  if (operation['op'] === 'n' || typeof name !== 'string') return;
  if (operation['op'] !== 'c') {
    touched.add(name);
    return;
  }
  const command = (operation['o'] ?? {}) as BSON.Document;
  const nested: unknown = command['applyOps'];
  if (Array.isArray(nested)) {
    for (const inner of nested) noteOperation(inner as BSON.Document, touched);
    return;
  }
  // `create`, `drop`, `createIndexes` and the like name their collection first; `renameCollection` names two in full.
  const [verb, collection] = Object.entries(command)[0] ?? [];
  if (verb === 'renameCollection') {
    for (const full of [collection, command['to']]) if (typeof full === 'string') touched.add(full);
  } else if (typeof collection === 'string') touched.add(`${name.slice(0, name.indexOf('.'))}.${collection}`);
}

// The metadata of a collection as mongorestore is given it: in the form that the built-in engine makes, since mongorestore spreads whatever
// options an archive has over its own commands, and ends at the first index that a server of today refuses.
import type { Document } from 'mongodb';
import { shownName, type CollectionEntry } from './archive.ts';
import { formatMetadata, parseMetadata, type CollectionMetadata } from './collection-metadata.ts';
import { creationOptions, unknownOptionsText } from './create-collection.ts';
import { modernIndexes } from './index-build.ts';
import { MEANINGFUL_OPTIONS, TECHNICAL_OPTIONS } from './legacy-index.ts';

export interface ToolMetadata {
  /** The text to give; undefined when the archive's own will do. */
  text: string | undefined;
  /** What was left out that is worth a word. */
  notes: string[];
}

/** Options of an index for mongorestore, which has no second try: those that MongoDB knows. */
const KNOWN: ReadonlySet<string> = new Set(['key', 'name', ...MEANINGFUL_OPTIONS, ...TECHNICAL_OPTIONS]);

/** Tells what the target refuses of a collection's options; undefined when it takes all, or when it cannot be asked. */
export type TryOptions = (entry: CollectionEntry, options: Document) => Promise<{ without: readonly string[]; note: string } | undefined>;

/**
 * Metadata that cannot be read are passed on as they are: mongorestore has its own word about them.
 * @throws what `tryOptions` throws
 */
export async function toolMetadata(entry: CollectionEntry, tryOptions?: TryOptions): Promise<ToolMetadata> {
  const metadata = parseMetadata(entry.metadata);
  if (metadata.state !== 'read') return { text: undefined, notes: [] };
  const name = shownName(entry);
  const kind = entry.type ?? metadata.type;
  const { taken, unknown } = creationOptions(metadata.options, kind);
  const refused = kind === 'view' ? undefined : await tryOptions?.(entry, taken);
  const options = Object.fromEntries(Object.entries(taken).filter(([option]) => !refused?.without.includes(option)));
  const { indexes, leftOut } = toolIndexes(metadata);
  const notes = [unknownOptionsText(name, unknown), refused?.note, ...leftOut.map((text) => `${name}: ${text}.`)];
  const type = entry.type === undefined || entry.type === '' ? 'collection' : entry.type;
  const written = (some: CollectionMetadata['options'], specs: CollectionMetadata['indexes']): string =>
    formatMetadata({
      ...{ options: some, indexes: specs, collectionName: entry.collection, type },
      ...(metadata.uuid === undefined ? {} : { uuid: metadata.uuid }),
    });
  const text = written(options, indexes);
  return {
    text: text === written(metadata.options, metadata.indexes) ? undefined : text,
    notes: notes.filter((note) => note !== undefined),
  };
}

function toolIndexes(metadata: CollectionMetadata): { indexes: CollectionMetadata['indexes']; leftOut: string[] } {
  // The index of `_id` comes with the collection; mongorestore looks for its collation here.
  const own = metadata.indexes.filter(({ name, clustered }) => name === '_id_' || clustered === true);
  const leftOut: string[] = [];
  const others = modernIndexes(metadata).map((spec) => {
    const unknown = Object.keys(spec).filter((option) => !KNOWN.has(option));
    if (unknown.length > 0)
      leftOut.push(`its index ${String(spec['name'])} is made without ${unknown.join(', ')}, which MongoDB does not know`);
    return Object.fromEntries(Object.entries(spec).filter(([option]) => KNOWN.has(option)));
  });
  return { indexes: [...own, ...others] as CollectionMetadata['indexes'], leftOut };
}

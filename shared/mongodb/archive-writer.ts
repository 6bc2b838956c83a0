// Writes mongodump's archive format, byte for byte as mongodump does.
import { BSON } from './bson.ts';
import { ARCHIVE_MAGIC, TERMINATOR, type ArchiveHeader, type CollectionEntry, type Namespace } from './archive.ts';

/** The archive's start: magic number, header, one document per collection, terminator. */
export function encodePrelude(header: ArchiveHeader, entries: readonly CollectionEntry[]): Uint8Array {
  return Buffer.concat([
    ARCHIVE_MAGIC,
    BSON.serialize({
      concurrent_collections: new BSON.Int32(header.concurrentCollections),
      version: header.version,
      server_version: header.serverVersion,
      tool_version: header.toolVersion,
    }),
    ...entries.map(encodeEntry),
    TERMINATOR,
  ]);
}

/** One collection of the prelude. */
export function encodeEntry({ db, collection, metadata, size, type }: CollectionEntry): Uint8Array {
  return BSON.serialize({ db, collection, metadata, size: new BSON.Int32(size), ...(type === undefined ? {} : { type }) });
}

/** Opens a block: the documents that follow, up to a terminator, belong to the namespace. */
export function encodeBlockHeader({ db, collection }: Namespace): Uint8Array {
  return BSON.serialize({ db, collection, EOF: false, CRC: BSON.Long.ZERO });
}

/** Closes a namespace for good, with the CRC-64/XZ over all its documents. Its terminator is included. */
export function encodeNamespaceEnd({ db, collection }: Namespace, crc: bigint): Uint8Array {
  return Buffer.concat([BSON.serialize({ db, collection, EOF: true, CRC: BSON.Long.fromBigInt(BigInt.asIntN(64, crc)) }), TERMINATOR]);
}

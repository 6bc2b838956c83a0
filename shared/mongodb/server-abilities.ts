// What a server can be asked for, by its version. The versions are those of mongo-tools 100.18 (common/db: version.go, empty_timestamp.go).
import type { MongoServer } from './connect.ts';

type Make = Pick<MongoServer, 'product' | 'version'>;

/** `7.0.14` as numbers; a part that is none counts as 0. */
function numbersOf(version: string): [major: number, minor: number, patch: number] {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  return [major, minor, patch];
}

/** Takes `rawData`: a time series has no bucket collection of its own there, and its buckets are read and written under its own name. */
export function hasRawData({ product, version }: Make): boolean {
  const [major, minor] = numbersOf(version);
  return product === undefined && (major > 8 || (major === 8 && minor >= 3));
}

/** The first patch release of a major version that takes `bypassEmptyTsReplacement`; from 8.0 on all do. */
const ZERO_TIMESTAMPS_SINCE: Record<number, number> = { 5: 29, 6: 17, 7: 13 };

/** Takes `bypassEmptyTsReplacement`; without it, a server puts the present time in place of `Timestamp(0, 0)`. */
export function takesZeroTimestamps({ product, version }: Make): boolean {
  const [major, minor, patch] = numbersOf(version);
  return product === undefined && (major >= 8 || (minor === 0 && patch >= (ZERO_TIMESTAMPS_SINCE[major] ?? Infinity)));
}

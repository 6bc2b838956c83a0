// Holds the metadata beside a backup's objects against its opened manifest, and writes them anew from it when they are lost or wrong.
import { VerificationError } from '../step/errors.ts';
import { ObjectMissingError } from '../stores/errors.ts';
import type { Store } from '../stores/store.ts';
import type { BackupNames } from './layout.ts';
import type { Manifest } from './manifest.ts';
import { dataMetadata, manifestMetadata } from './metadata.ts';

/** The metadata beside an object is not what the manifest says. Data and manifest may be good: it can be written anew from the manifest. */
export class MetadataError extends VerificationError {}

/** A backup whose manifest is proved. */
export interface ProvedBackup {
  names: BackupNames;
  manifest: Manifest;
}

type Metadata = Readonly<Record<string, string>>;

/**
 * What is wrong with the metadata beside the objects; undefined when all of it is right. What lies beside the data opens it when the manifest
 * is lost, what lies beside the manifest is what a listing shows and a restore chooses by. What a version 1 writer put there is held against
 * the manifest, text for text; what others added is left alone.
 * @throws StoreError
 */
export async function metadataFault(
  store: Store,
  { names, manifest }: ProvedBackup,
  signal?: AbortSignal,
): Promise<MetadataError | undefined> {
  const wrong = [
    ...differences(
      names.data,
      (await store.stat(names.data, signal))?.metadata ?? {},
      dataMetadata(manifest, manifest.attempt ?? ''),
      DATA_ORIGINS,
    ),
    ...differences(
      names.manifest,
      (await store.stat(names.manifest, signal))?.metadata ?? {},
      manifestMetadata(manifest),
      MANIFEST_ORIGINS,
    ),
  ];
  if (wrong.length === 0) return undefined;
  return new MetadataError(`${manifest.component} ${manifest.timestamp}: ${wrong.join('; ')}.`, {
    fix: 'backup-validation with repair writes it anew from the manifest. The data opens without it: a restore works, and copy-backups makes a copy with the right metadata.',
  });
}

/** Whose backup it is, which the manifest does not say. `unknown`: it was lost, and the metadata written anew. */
const DATA_ORIGINS: readonly (string | undefined)[] = ['backup', 'copy', 'unknown'];
const MANIFEST_ORIGINS: readonly (string | undefined)[] = [undefined, 'copy', 'unknown'];

function differences(name: string, found: Metadata, expected: Metadata, origins: readonly (string | undefined)[]): string[] {
  if (Object.keys(found).length === 0) return [`the metadata of ${name} is lost`];
  // A copy has another origin; which run wrote it, old manifests do not say.
  const said = Object.entries(expected).filter(([key, value]) => key !== 'origin' && (key !== 'attempt' || value !== ''));
  const keys = said.filter(([key, value]) => found[key] !== value).map(([key]) => key);
  if (!origins.includes(found['origin'])) keys.push('origin');
  return keys.map((key) => {
    if (found[key] === undefined) return `the metadata "${key}" of ${name} is lost`;
    return key === 'lifeboatkeys'
      ? `the keys in the metadata "${key}" of ${name} are not the manifest's`
      : `the metadata "${key}" of ${name} is not what the manifest says`;
  });
}

/**
 * Writes the metadata of both objects anew from the manifest. Whose backup it is stays where it is still told; else it becomes `unknown`,
 * which keeps its keys and keeps it from being overwritten by a copy.
 * @throws StoreError
 */
export async function repairMetadata(store: Store, { names, manifest }: ProvedBackup, signal?: AbortSignal): Promise<void> {
  const data = await metadataOf(store, names.data, signal);
  const origin = DATA_ORIGINS.includes(data['origin']) ? (data['origin'] ?? 'unknown') : 'unknown';
  await store.setMetadata(
    names.data,
    { ...data, ...dataMetadata(manifest, manifest.attempt ?? data['attempt'] ?? 'repaired'), origin },
    signal,
  );
  const beside = await metadataOf(store, names.manifest, signal);
  const { origin: told, ...rest } = { ...beside, ...manifestMetadata(manifest) };
  // Only a copy says so.
  const copy = told === 'copy' || origin === 'copy' ? { origin: 'copy' } : {};
  await store.setMetadata(names.manifest, { ...rest, ...copy }, signal);
}

async function metadataOf(store: Store, name: string, signal: AbortSignal | undefined): Promise<Metadata> {
  const info = await store.stat(name, signal);
  if (!info) throw new ObjectMissingError(`${name} is not in ${store.location}.`);
  return info.metadata;
}

// Verifies the plain stream of a backup and reports what is in it: counts and digests of each kind and namespace, Helm's releases, certificates.
import { typeName } from '../kubernetes/resources.ts';
import { createHmac } from 'node:crypto';
import type { Inspector } from '../backup/inspector.ts';
import { VerificationError } from '../step/errors.ts';
import { PushedStream, readArchive, type ArchiveHeader, type ArchiveIndex, type Entry, type Unread } from './archive.ts';
import { certificateOf, type CertificateFact } from './certificates.ts';
import { HelmInventory, type HelmRelease } from './helm.ts';
import type { ResourceType } from './objects.ts';

/** Objects of one type in one namespace. */
export type NamespaceReport = {
  /** Null for objects that belong to none. */
  readonly namespace: string | null;
  readonly objects: number;
  /** Of their JSON. */
  readonly bytes: number;
  /** Sum modulo 2^128 of the first half of each object's HMAC-SHA256 under the archive's salt: 32 hexadecimal digits. */
  readonly digest: string;
};

export type TypeReport = {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Of the list that they came from. */
  readonly resourceVersion: string;
  readonly objects: number;
  readonly namespaces: readonly NamespaceReport[];
};

/** What a backup of the state of a cluster holds: the manifest's content. Nothing secret is in it, and no hash of anything secret. */
export type StateReport = {
  readonly objects: number;
  readonly bytes: number;
  readonly types: readonly TypeReport[];
  readonly helm: readonly (HelmRelease & Plain)[];
  /** Those that expire first come first. */
  readonly certificates: readonly (CertificateFact & Plain)[];
  /** Secrets of Helm that cannot be read as such. */
  readonly unreadableReleases: readonly string[];
  /** What of the cluster could not be read. */
  readonly unread: readonly (Unread & Plain)[];
  /** Each object's path, in a safety backup. */
  readonly names?: readonly string[];
};

/** An interface as JSON. */
type Plain = { readonly [key: string]: string | number };

/** A verifier for one pass. */
export function newStateInspector(): Inspector<StateReport> {
  const sums = new Sums();
  const stream = new PushedStream(async (bytes) => {
    for await (const entry of readArchive(bytes)) sums.add(entry);
  });
  return {
    write: (chunk) => stream.write(chunk),
    end: async () => {
      await stream.end();
      return sums.report();
    },
  };
}

interface Running {
  objects: number;
  bytes: number;
  sum: bigint;
}

interface RunningType {
  kind: string;
  namespaces: Map<string | null, Running>;
}

const MODULUS = (1n << 128n) - 1n;

class Sums {
  readonly #types = new Map<string, RunningType>();
  readonly #paths = new Set<string>();
  readonly #helm = new HelmInventory();
  readonly #certificates: CertificateFact[] = [];
  #header: ArchiveHeader | undefined;
  #index: ArchiveIndex | undefined;

  add(entry: Entry): void {
    if (entry.is === 'header') this.#header = entry.header;
    else if (entry.is === 'index') this.#index = entry.index;
    else this.#addObject(entry);
  }

  #addObject({ path, id, object, bytes }: Extract<Entry, { is: 'object' }>): void {
    if (this.#paths.has(path)) throw wrong(`it holds ${path} twice`);
    this.#paths.add(path);
    const key = keyOf(id);
    const type = this.#types.get(key) ?? { kind: object.kind, namespaces: new Map<string | null, Running>() };
    this.#types.set(key, type);
    if (type.kind !== object.kind) throw wrong(`${path} is a ${object.kind}, and others of its type are a ${type.kind}`);
    const namespace = id.namespace ?? null;
    const running = type.namespaces.get(namespace) ?? { objects: 0, bytes: 0, sum: 0n };
    type.namespaces.set(namespace, running);
    running.objects += 1;
    running.bytes += bytes.length;
    running.sum = (running.sum + digestOf(path, bytes, this.#header?.salt ?? '')) & MODULUS;
    this.#helm.add(object);
    const certificate = certificateOf(object);
    if (certificate !== undefined) this.#certificates.push(certificate);
  }

  /** @throws VerificationError when the index does not have what was found */
  report(): StateReport {
    const { types = [], unread = [] } = this.#index ?? {};
    const reports = types.map((type) => {
      const found = this.#types.get(keyOf(type));
      this.#types.delete(keyOf(type));
      const namespaces = [...(found?.namespaces ?? [])].map(([namespace, { objects, bytes, sum }]) => ({
        ...{ namespace, objects, bytes },
        digest: sum.toString(16).padStart(32, '0'),
      }));
      const objects = sumOf(namespaces, 'objects');
      if (objects !== type.objects) throw wrong(`it holds ${objects} ${typeName(type)}, and its index says ${type.objects}`);
      if (found !== undefined && found.kind !== type.kind)
        throw wrong(`its ${typeName(type)} are ${found.kind}, and its index says ${type.kind}`);
      if (namespaces.some(({ namespace }) => (namespace === null) === type.namespaced))
        throw wrong(
          `its ${typeName(type)} ${type.namespaced ? 'belong' : 'do not belong'} to namespaces, its index says, and not all do so`,
        );
      const { group, version, plural, kind, namespaced, resourceVersion } = type;
      return { ...{ group, version, plural, kind, namespaced, resourceVersion, objects, namespaces } };
    });
    for (const [key] of this.#types) throw wrong(`its index does not name ${key}`);
    return {
      objects: sumOf(reports, 'objects'),
      bytes: reports.reduce((sum, { namespaces }) => sum + sumOf(namespaces, 'bytes'), 0),
      types: reports,
      helm: this.#helm.releases().map(({ namespace, release, revision, status, chart, version, appVersion }) => ({
        ...{ namespace, release, revision, status, chart, version, appVersion },
      })),
      certificates: this.#certificates.sort(byExpiry).map((one) => ({ ...one })),
      unreadableReleases: this.#helm.unreadable,
      unread: unread.map(({ what, why }) => ({ what, why })),
      ...(this.#header?.names ? { names: [...this.#paths] } : {}),
    };
  }
}

function keyOf({ group, version, plural }: Pick<ResourceType, 'group' | 'version' | 'plural'>): string {
  return `${group}/${version}/${plural}`;
}

function digestOf(path: string, bytes: Uint8Array, salt: string): bigint {
  const digest = createHmac('sha256', Buffer.from(salt, 'hex')).update(path).update('\0').update(bytes).digest();
  return (digest.readBigUInt64BE(0) << 64n) | digest.readBigUInt64BE(8);
}

function byExpiry(a: CertificateFact, b: CertificateFact): number {
  return (a.expires ?? '9') < (b.expires ?? '9') ? -1 : 1;
}

function sumOf<K extends string>(list: readonly Readonly<Record<K, number>>[], key: K): number {
  return list.reduce((sum, one) => sum + one[key], 0);
}

function wrong(what: string): VerificationError {
  return new VerificationError(`The archive of objects is not as it was written: ${what}.`, {
    fix: 'Take another backup, or a copy of this one in another store.',
  });
}

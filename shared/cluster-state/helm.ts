// Helm's releases: Secrets that hold each revision, packed twice. They are kept byte by byte; this reads what is in them, for the inventory.
// Source: helm.sh/helm/v3 pkg/storage/driver/secrets.go and util.go.
import type { KubeObject } from '../kubernetes/resources.ts';
import { gunzipSync } from 'node:zlib';
import { mapping, textAt } from './objects.ts';

const TYPE = 'helm.sh/release.v1';
/** An unpacked release; a Secret holds 1 MiB at most, and text packs to a tenth. */
const MAX_RELEASE_BYTES = 64 * 1024 * 1024;

/** A release as it stands in a cluster. */
export interface HelmRelease {
  namespace: string;
  release: string;
  revision: number;
  /** `deployed`, `failed`, `pending-upgrade`, … */
  status: string;
  chart: string;
  version: string;
  appVersion: string;
}

/** With what the user set; that may hold secrets, and stays within the encrypted data. */
export interface HelmReleaseWithValues extends HelmRelease {
  values: unknown;
}

/** Collects the releases of a cluster from its Secrets: of each the deployed revision, or the last one where none is. */
export class HelmInventory {
  readonly #releases = new Map<string, HelmReleaseWithValues>();
  /** Secrets of Helm that cannot be read: `shop/sh.helm.release.v1.web.v3`. */
  readonly unreadable: string[] = [];

  /** Takes an object of any kind. */
  add(object: KubeObject): void {
    if (object.kind !== 'Secret' || object['type'] !== TYPE) return;
    const { namespace = '', name } = object.metadata;
    const found = releaseOf(object);
    if (found === undefined) {
      this.unreadable.push(`${namespace}/${name}`);
      return;
    }
    const key = `${namespace}/${found.release}`;
    const before = this.#releases.get(key);
    if (before === undefined || isNewer(found, before)) this.#releases.set(key, found);
  }

  /** Sorted by namespace and name. */
  releases(): HelmReleaseWithValues[] {
    return [...this.#releases].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, release]) => release);
  }
}

/** The one that counts is told by its label, not by its name: after a failed upgrade the last revision is not what runs. */
function isNewer(one: HelmRelease, other: HelmRelease): boolean {
  const [deployed, before] = [one.status === 'deployed', other.status === 'deployed'];
  return deployed === before ? one.revision > other.revision : deployed;
}

/** What a Secret of Helm holds; undefined when it is not one that can be read. */
export function releaseOf(secret: KubeObject): HelmReleaseWithValues | undefined {
  const packed = textAt(secret, 'data', 'release');
  const { namespace = '', labels } = secret.metadata;
  const release = textAt(labels, 'name');
  const status = textAt(labels, 'status');
  const revision = Number(textAt(labels, 'version'));
  if (packed === undefined || release === undefined || status === undefined || !Number.isSafeInteger(revision)) return undefined;
  const payload = unpacked(packed);
  if (payload === undefined) return undefined;
  const metadata = mapping(mapping(payload['chart'])?.['metadata']);
  return {
    ...{ namespace, release, revision, status },
    chart: textAt(metadata, 'name') ?? '',
    version: textAt(metadata, 'version') ?? '',
    appVersion: textAt(metadata, 'appVersion') ?? '',
    values: payload['config'] ?? {},
  };
}

/** base64 of the API, base64 of Helm, gzip, JSON. Releases of Helm 3.0 alphas were not packed by gzip; no one has them any more. */
function unpacked(text: string): Record<string, unknown> | undefined {
  try {
    const inner = Buffer.from(Buffer.from(text, 'base64').toString('latin1'), 'base64');
    return mapping(JSON.parse(gunzipSync(inner, { maxOutputLength: MAX_RELEASE_BYTES }).toString()));
  } catch {
    return undefined;
  }
}

// Small objects and archives of them, for tests.
import type { KubeObject } from '../../shared/kubernetes/resources.ts';
import { gzipSync } from 'node:zlib';
import {
  headerFile,
  indexFile,
  jsonBytes,
  objectPath,
  packArchive,
  type ArchiveFile,
  type Unread,
} from '../../shared/cluster-state/archive.ts';
import type { ResourceType } from '../../shared/cluster-state/objects.ts';

export const CONFIG_MAPS: ResourceType = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };
export const SECRETS: ResourceType = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
export const NAMESPACES: ResourceType = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
export const DEPLOYMENTS: ResourceType = { group: 'apps', version: 'v1', plural: 'deployments', kind: 'Deployment', namespaced: true };

/** An object of a type. @param place `namespace/name`, or a name alone */
export function object({ group, version, kind }: ResourceType, place: string, rest: object = {}): KubeObject {
  const [name = '', namespace] = place.split('/').reverse();
  return {
    apiVersion: group === '' ? version : `${group}/${version}`,
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    ...rest,
  };
}

/** A Secret of helm. */
export function release(
  place: string,
  { revision, status, values = {} }: { revision: number; status: string; values?: object },
): KubeObject {
  const [namespace, name] = place.split('/') as [string, string];
  const payload = { chart: { metadata: { name: 'rocketchat', version: '6.1.0', appVersion: '7.0' } }, config: values };
  const packed = Buffer.from(gzipSync(JSON.stringify(payload)).toString('base64')).toString('base64');
  const one = object(SECRETS, `${namespace}/sh.helm.release.v1.${name}.v${revision}`, {
    type: 'helm.sh/release.v1',
    data: { release: packed },
  });
  one.metadata.labels = { owner: 'helm', name, status, version: String(revision) };
  return one;
}

/** The files of an archive of these objects, in their order. */
export function archiveFiles(
  content: readonly (readonly [ResourceType, readonly KubeObject[]])[],
  { unread = [], names = false }: { unread?: Unread[]; names?: boolean } = {},
): ArchiveFile[] {
  return [
    headerFile({ salt: '00112233445566778899aabbccddeeff', names }),
    ...content.flatMap(([type, objects]) =>
      objects.map((one) => {
        const { namespace, name } = one.metadata;
        return { name: objectPath({ ...type, namespace, name }), bytes: jsonBytes(one) };
      }),
    ),
    indexFile({ types: content.map(([type, objects]) => ({ ...type, resourceVersion: '7', objects: objects.length })), unread }),
  ];
}

export async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item);
}

export async function packed(files: readonly ArchiveFile[]): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of packArchive(each(files))) parts.push(part);
  return Buffer.concat(parts);
}

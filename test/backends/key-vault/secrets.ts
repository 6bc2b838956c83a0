// The secrets of the simulated Key Vault: https://learn.microsoft.com/rest/api/keyvault/secrets, api-version 7.5.
import type { Item, ObjectCollection, Version } from './objects.ts';
import { badParameter, checkAttributes, checkTags, page, VaultRefusal, type VaultAnswer, type VaultRequest } from './protocol.ts';

/** What a version of a secret holds besides its attributes. */
export interface SecretContent {
  value: string;
  contentType?: string;
}

/** Bytes of a value ("25k", about-secrets). */
const VALUE_LIMIT = 25_600;

export class SecretsApi {
  readonly #secrets: ObjectCollection<SecretContent>;
  readonly #recovery: { recoveryLevel: string; recoverableDays: number };
  readonly #vault: string;

  constructor(secrets: ObjectCollection<SecretContent>, recovery: { recoveryLevel: string; recoverableDays: number }, vault: string) {
    this.#secrets = secrets;
    this.#recovery = recovery;
    this.#vault = vault;
  }

  /** The operation a request asks for, as permissions and faults name it; undefined when there is no such operation. */
  static operation({ method, segments: [root, name, third] }: Pick<VaultRequest, 'method' | 'segments'>): string | undefined {
    if (root === 'secrets') {
      if (name === undefined || name === '') return method === 'GET' ? 'secrets/list' : undefined;
      if (method === 'GET') return third === 'versions' ? 'secrets/listVersions' : 'secrets/get';
      if (method === 'PUT') return third ? undefined : 'secrets/set';
      if (method === 'PATCH') return 'secrets/update';
      if (method === 'DELETE') return third ? undefined : 'secrets/delete';
    }
    if (root === 'deletedsecrets') {
      if (name === undefined || name === '') return method === 'GET' ? 'secrets/listDeleted' : undefined;
      if (method === 'GET') return 'secrets/getDeleted';
      if (method === 'DELETE') return 'secrets/purge';
      if (method === 'POST' && third === 'recover') return 'secrets/recover';
    }
    return undefined;
  }

  handle(operation: string, request: VaultRequest): VaultAnswer {
    const [, name = '', version = ''] = request.segments;
    switch (operation) {
      case 'secrets/set':
        return this.#set(name, request);
      case 'secrets/get':
        return this.#get(name, version, request);
      case 'secrets/update':
        return this.#update(name, version, request);
      case 'secrets/list': {
        const items = this.#secrets.active().map((item) => this.#listed(item, item.versions.at(-1), request.origin, false));
        return { status: 200, body: page(items, request, '/secrets') };
      }
      case 'secrets/listVersions': {
        const { item, versions } = this.#secrets.versions(name);
        const items = versions.map((one) => this.#listed(item, one, request.origin, true));
        return { status: 200, body: page(items, request, `/secrets/${name}/versions`) };
      }
      case 'secrets/delete': {
        const item = this.#secrets.delete(name);
        return { status: 200, body: { ...this.#deletion(item, request.origin), ...this.#bundle(item, undefined, request.origin, false) } };
      }
      case 'secrets/listDeleted': {
        const items = this.#secrets.deleted().map((item) => ({
          ...this.#deletion(item, request.origin),
          ...this.#listed(item, item.versions.at(-1), request.origin, false),
        }));
        return { status: 200, body: page(items, request, '/deletedsecrets') };
      }
      case 'secrets/getDeleted': {
        const item = this.#secrets.getDeleted(name);
        return { status: 200, body: { ...this.#deletion(item, request.origin), ...this.#bundle(item, undefined, request.origin, false) } };
      }
      case 'secrets/recover': {
        const item = this.#secrets.recover(name);
        return { status: 200, body: this.#bundle(item, undefined, request.origin, false) };
      }
      default:
        this.#secrets.purge(name, this.#vault);
        return { status: 204 };
    }
  }

  #set(name: string, request: VaultRequest): VaultAnswer {
    const { value, contentType } = request.body;
    if (typeof value !== 'string') throw badParameter('The request body must have a string property "value".');
    const bytes = Buffer.byteLength(value);
    if (bytes > VALUE_LIMIT) throw badParameter(`The specified value has ${bytes} bytes; at most ${VALUE_LIMIT} are allowed.`);
    if (contentType !== undefined && (typeof contentType !== 'string' || contentType.length > 255)) {
      throw badParameter('The property "contentType" must be a string of at most 255 characters.');
    }
    const { item, version } = this.#secrets.add(name, {
      attributes: { enabled: true, ...checkAttributes(request.body['attributes']) },
      tags: checkTags(request.body['tags']),
      content: { value, ...(contentType === undefined ? {} : { contentType }) },
    });
    return { status: 200, body: this.#bundle(item, version, request.origin, true) };
  }

  #get(name: string, id: string, request: VaultRequest): VaultAnswer {
    const { item, version } = this.#secrets.get(name, id);
    // Expired and not yet valid secrets stay readable; disabled ones do not (about-secrets, "Secret attributes").
    if (version.attributes.enabled === false) {
      throw new VaultRefusal(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', 'SecretDisabled');
    }
    return { status: 200, body: this.#bundle(item, version, request.origin, true) };
  }

  #update(name: string, id: string, request: VaultRequest): VaultAnswer {
    const { item, version } = this.#secrets.get(name, id);
    version.attributes = { ...version.attributes, ...checkAttributes(request.body['attributes']) };
    if (request.body['tags'] !== undefined) version.tags = checkTags(request.body['tags']);
    if (typeof request.body['contentType'] === 'string') version.content.contentType = request.body['contentType'];
    this.#secrets.touch(version);
    return { status: 200, body: this.#bundle(item, version, request.origin, false) };
  }

  #bundle(item: Item<SecretContent>, version: Version<SecretContent> | undefined, origin: string, withValue: boolean): object {
    const shown = version ?? item.versions.at(-1);
    return {
      ...(withValue && version ? { value: version.content.value } : {}),
      ...this.#listed(item, shown, origin, true),
    };
  }

  #listed(item: Item<SecretContent>, version: Version<SecretContent> | undefined, origin: string, withVersion: boolean): object {
    if (!version) throw new Error(`secret ${item.name} has no version`);
    const { contentType } = version.content;
    return {
      ...(contentType === undefined ? {} : { contentType }),
      id: `${origin}/secrets/${item.name}${withVersion ? `/${version.id}` : ''}`,
      attributes: {
        ...version.attributes,
        created: Math.floor(version.created / 1000),
        updated: Math.floor(version.updated / 1000),
        ...this.#recovery,
      },
      tags: version.tags,
    };
  }

  #deletion(item: Item<SecretContent>, origin: string): object {
    return {
      recoveryId: `${origin}/deletedsecrets/${item.name}`,
      deletedDate: Math.floor(item.since / 1000),
      scheduledPurgeDate: Math.floor(this.#secrets.purgeTime(item) / 1000),
    };
  }
}

// The RSA keys of the simulated Key Vault: https://learn.microsoft.com/rest/api/keyvault/keys, api-version 7.5.
import { constants, createPrivateKey, createPublicKey, generateKeyPair, privateDecrypt, publicEncrypt, type JsonWebKey } from 'node:crypto';
import { promisify } from 'node:util';
import type { Item, ObjectCollection, Version } from './objects.ts';
import { badParameter, checkAttributes, checkTags, page, VaultRefusal, type VaultAnswer, type VaultRequest } from './protocol.ts';

/** What a version of a key holds; the private half never leaves. */
export interface KeyContent {
  privateJwk: JsonWebKey;
  operations: string[];
}

const ALL_OPERATIONS = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];
const OAEP_HASH: Record<string, string> = { 'RSA-OAEP': 'sha1', 'RSA-OAEP-256': 'sha256' };

export class KeysApi {
  readonly #keys: ObjectCollection<KeyContent>;
  readonly #recovery: { recoveryLevel: string; recoverableDays: number };
  readonly #vault: string;
  readonly #now: () => number;

  constructor(
    keys: ObjectCollection<KeyContent>,
    recovery: { recoveryLevel: string; recoverableDays: number },
    vault: string,
    now: () => number,
  ) {
    this.#keys = keys;
    this.#recovery = recovery;
    this.#vault = vault;
    this.#now = now;
  }

  /** The operation a request asks for, as permissions and faults name it; undefined when there is no such operation. */
  static operation({ method, segments: [root, name, third, fourth] }: Pick<VaultRequest, 'method' | 'segments'>): string | undefined {
    if (root === 'keys') {
      if (name === undefined || name === '') return method === 'GET' ? 'keys/list' : undefined;
      if (method === 'GET') return third === 'versions' ? 'keys/listVersions' : 'keys/get';
      if (method === 'POST' && third === 'create') return 'keys/create';
      if (method === 'POST' && fourth === 'wrapkey') return 'keys/wrapKey';
      if (method === 'POST' && fourth === 'unwrapkey') return 'keys/unwrapKey';
      if (method === 'PUT') return third ? undefined : 'keys/import';
      if (method === 'PATCH') return 'keys/update';
      if (method === 'DELETE') return third ? undefined : 'keys/delete';
    }
    if (root === 'deletedkeys') {
      if (name === undefined || name === '') return method === 'GET' ? 'keys/listDeleted' : undefined;
      if (method === 'GET') return 'keys/getDeleted';
      if (method === 'DELETE') return 'keys/purge';
      if (method === 'POST' && third === 'recover') return 'keys/recover';
    }
    return undefined;
  }

  async handle(operation: string, request: VaultRequest): Promise<VaultAnswer> {
    const [, name = '', id = ''] = request.segments;
    const { origin } = request;
    switch (operation) {
      case 'keys/create':
        return this.#add(name, await createRsa(request.body), request);
      case 'keys/import':
        return this.#add(name, importRsa(request.body['key']), request);
      case 'keys/get': {
        const { item, version } = this.#keys.get(name, id);
        return { status: 200, body: this.#bundle(item, version, origin) };
      }
      case 'keys/update':
        return this.#update(name, id, request);
      case 'keys/wrapKey':
      case 'keys/unwrapKey':
        return this.#crypt(operation === 'keys/wrapKey' ? 'wrapKey' : 'unwrapKey', name, id, request);
      case 'keys/list': {
        const items = this.#keys.active().map((item) => this.#listed(item, item.versions.at(-1), origin, false));
        return { status: 200, body: page(items, request, '/keys') };
      }
      case 'keys/listVersions': {
        const { item, versions } = this.#keys.versions(name);
        return {
          status: 200,
          body: page(
            versions.map((one) => this.#listed(item, one, origin, true)),
            request,
            `/keys/${name}/versions`,
          ),
        };
      }
      case 'keys/delete': {
        const item = this.#keys.delete(name);
        return { status: 200, body: { ...this.#deletion(item, origin), ...this.#bundle(item, item.versions.at(-1), origin) } };
      }
      case 'keys/listDeleted': {
        const items = this.#keys
          .deleted()
          .map((item) => ({ ...this.#deletion(item, origin), ...this.#listed(item, item.versions.at(-1), origin, false) }));
        return { status: 200, body: page(items, request, '/deletedkeys') };
      }
      case 'keys/getDeleted': {
        const item = this.#keys.getDeleted(name);
        return { status: 200, body: { ...this.#deletion(item, origin), ...this.#bundle(item, item.versions.at(-1), origin) } };
      }
      case 'keys/recover': {
        const item = this.#keys.recover(name);
        return { status: 200, body: this.#bundle(item, item.versions.at(-1), origin) };
      }
      default:
        this.#keys.purge(name, this.#vault);
        return { status: 204 };
    }
  }

  #add(name: string, privateJwk: JsonWebKey, request: VaultRequest): VaultAnswer {
    const asked = request.body['key_ops'] ?? (request.body['key'] as { key_ops?: unknown } | undefined)?.key_ops;
    const { item, version } = this.#keys.add(name, {
      attributes: { enabled: true, ...checkAttributes(request.body['attributes']) },
      tags: checkTags(request.body['tags']),
      content: { privateJwk, operations: Array.isArray(asked) && asked.length > 0 ? asked.map(String) : ALL_OPERATIONS },
    });
    return { status: 200, body: this.#bundle(item, version, request.origin) };
  }

  #update(name: string, id: string, request: VaultRequest): VaultAnswer {
    const { item, version } = this.#keys.get(name, id);
    version.attributes = { ...version.attributes, ...checkAttributes(request.body['attributes']) };
    if (request.body['tags'] !== undefined) version.tags = checkTags(request.body['tags']);
    if (Array.isArray(request.body['key_ops'])) version.content.operations = request.body['key_ops'].map(String);
    this.#keys.touch(version);
    return { status: 200, body: this.#bundle(item, version, request.origin) };
  }

  #crypt(operation: 'wrapKey' | 'unwrapKey', name: string, id: string, request: VaultRequest): VaultAnswer {
    const { item, version } = this.#keys.get(name, id);
    this.#checkUsable(operation, version);
    const { alg, value } = request.body;
    const oaepHash = OAEP_HASH[String(alg)];
    if (oaepHash === undefined)
      throw badParameter(`Key operation ${operation} with algorithm ${String(alg)} is not supported for a key of type RSA.`);
    if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value)) throw badParameter('The property "value" must be base64url.');
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const key = createPrivateKey({ key: version.content.privateJwk, format: 'jwk' });
    let result: Buffer;
    try {
      const input = Buffer.from(value, 'base64url');
      result =
        operation === 'wrapKey'
          ? publicEncrypt({ key: createPublicKey(key), oaepHash, padding }, input)
          : privateDecrypt({ key, oaepHash, padding }, input);
    } catch {
      throw badParameter(`The parameter is incorrect. The ${operation} operation could not be done with this key and value.`);
    }
    return { status: 200, body: { kid: `${request.origin}/keys/${item.name}/${version.id}`, value: result.toString('base64url') } };
  }

  /** An expired or not yet valid key still unwraps, and nothing else (about-keys-details, "Key access control"). */
  #checkUsable(operation: 'wrapKey' | 'unwrapKey', { attributes, content }: Version<KeyContent>): void {
    const forbidden = (why: string, inner: string): VaultRefusal =>
      new VaultRefusal(403, 'Forbidden', `Operation ${operation} is not ${why}.`, inner);
    if (attributes.enabled === false) throw forbidden('allowed on a disabled key', 'KeyDisabled');
    if (!content.operations.includes(operation)) throw forbidden('permitted on this key', 'KeyOperationForbidden');
    if (operation === 'unwrapKey') return;
    const seconds = this.#now() / 1000;
    if (attributes.exp !== undefined && seconds >= attributes.exp) throw forbidden('allowed on an expired key', 'KeyExpired');
    if (attributes.nbf !== undefined && seconds < attributes.nbf)
      throw forbidden('allowed on a key that is not yet valid', 'KeyNotYetValid');
  }

  #bundle(item: Item<KeyContent>, version: Version<KeyContent> | undefined, origin: string): object {
    if (!version) throw new Error(`key ${item.name} has no version`);
    const { n, e } = version.content.privateJwk;
    return {
      key: { kid: `${origin}/keys/${item.name}/${version.id}`, kty: 'RSA', key_ops: version.content.operations, n, e },
      attributes: this.#attributes(version),
      tags: version.tags,
    };
  }

  #listed(item: Item<KeyContent>, version: Version<KeyContent> | undefined, origin: string, withVersion: boolean): object {
    if (!version) throw new Error(`key ${item.name} has no version`);
    return {
      kid: `${origin}/keys/${item.name}${withVersion ? `/${version.id}` : ''}`,
      attributes: this.#attributes(version),
      tags: version.tags,
    };
  }

  #attributes(version: Version<KeyContent>): object {
    return {
      ...version.attributes,
      created: Math.floor(version.created / 1000),
      updated: Math.floor(version.updated / 1000),
      ...this.#recovery,
    };
  }

  #deletion(item: Item<KeyContent>, origin: string): object {
    return {
      recoveryId: `${origin}/deletedkeys/${item.name}`,
      deletedDate: Math.floor(item.since / 1000),
      scheduledPurgeDate: Math.floor(this.#keys.purgeTime(item) / 1000),
    };
  }
}

async function createRsa(body: Record<string, unknown>): Promise<JsonWebKey> {
  if (body['kty'] !== 'RSA') throw badParameter(`Keys of type ${String(body['kty'])} are not supported by this vault.`);
  const size = body['key_size'] ?? 2048;
  if (size !== 2048 && size !== 3072 && size !== 4096) throw badParameter('The key_size of an RSA key must be 2048, 3072 or 4096.');
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: size });
  return privateKey.export({ format: 'jwk' });
}

function importRsa(jwk: unknown): JsonWebKey {
  const given = jwk as JsonWebKey | undefined;
  if (given?.kty !== 'RSA' || given.d === undefined) throw badParameter('Only RSA keys with their private half can be imported.');
  try {
    return createPrivateKey({ key: given, format: 'jwk' }).export({ format: 'jwk' });
  } catch {
    throw badParameter('The RSA key is not valid.');
  }
}

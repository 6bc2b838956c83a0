// A small S3 in memory that behaves as some services do: it refuses checksum headers, ignores the conditions of a write, or has none.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * `none`: as AWS. `no-checksums`: 400 on each x-amz-checksum-* header (Backblaze B2). `no-digests`: on Content-MD5, too.
 * `ignores-conditions`: If-None-Match and If-Match are no matter. `no-conditions`: 501 on them.
 */
export type S3Quirk = 'none' | 'no-checksums' | 'no-digests' | 'ignores-conditions' | 'no-conditions';

interface StoredObject {
  body: Buffer;
  etag: string;
  metadata: Record<string, string>;
  modified: Date;
}

interface Upload {
  key: string;
  metadata: Record<string, string>;
  parts: Map<number, Buffer>;
}

export interface QuirkyS3 {
  endpoint: string;
  objects: ReadonlyMap<string, StoredObject>;
  /** Names of the headers that guarded the bodies of writes. */
  guards: Set<string>;
  stop(): Promise<void>;
}

export async function startQuirkyS3(quirk: S3Quirk): Promise<QuirkyS3> {
  const service = new Service(quirk);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      service.answer(request, Buffer.concat(chunks), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects: service.objects,
    guards: service.guards,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string = code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

class Service {
  readonly objects = new Map<string, StoredObject>();
  readonly guards = new Set<string>();
  readonly #uploads = new Map<string, Upload>();
  readonly #quirk: S3Quirk;
  #count = 0;

  constructor(quirk: S3Quirk) {
    this.#quirk = quirk;
  }

  answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'http://s3');
    const key = decodeURIComponent(url.pathname.split('/').slice(2).join('/'));
    const send = (status: number, headers: Record<string, string>, bytes: Buffer | string = ''): void => {
      response.writeHead(status, { ...headers, 'content-length': String(Buffer.byteLength(bytes)) });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    };
    try {
      this.#check(request, body);
      if (key === '') send(200, {}, url.searchParams.has('uploads') ? '<ListMultipartUploadsResult/>' : this.#list(url.searchParams));
      else if (request.method === 'GET' || request.method === 'HEAD') this.#read(key, request, url.searchParams, send);
      else if (request.method === 'DELETE') {
        if (url.searchParams.has('uploadId')) this.#uploads.delete(url.searchParams.get('uploadId') ?? '');
        else this.objects.delete(key);
        send(204, {});
      } else this.#write(key, request, body, url.searchParams, send);
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      send(thrown.status, {}, `<Error><Code>${thrown.code}</Code><Message>${escape(thrown.message)}</Message></Error>`);
    }
  }

  #check({ method, headers }: IncomingMessage, body: Buffer): void {
    const sums = Object.keys(headers).filter((name) => /^x-amz-(?:sdk-)?checksum-|^x-amz-trailer|^content-md5$/.test(name));
    for (const name of sums) {
      const refused = name === 'content-md5' ? this.#quirk === 'no-digests' : /^no-(?:checksums|digests)$/.test(this.#quirk);
      if (refused) throw new Refusal(400, 'InvalidArgument', `Unsupported header '${name}' received for this API call.`);
      this.guards.add(name);
    }
    const given = headers['content-md5'];
    if (given !== undefined && given !== createHash('md5').update(body).digest('base64')) throw new Refusal(400, 'BadDigest');
    const conditional = headers['if-none-match'] ?? headers['if-match'];
    if (this.#quirk === 'no-conditions' && conditional !== undefined && (method === 'PUT' || method === 'POST'))
      throw new Refusal(501, 'NotImplemented', 'A header you provided implies functionality that is not implemented');
  }

  #requireCondition(key: string, { headers }: IncomingMessage): void {
    if (this.#quirk === 'ignores-conditions') return;
    const there = this.objects.get(key);
    const wanted = headers['if-match'];
    if ((headers['if-none-match'] === '*' && there) || (wanted !== undefined && there?.etag !== wanted.replaceAll('"', '')))
      throw new Refusal(412, 'PreconditionFailed');
  }

  #write(key: string, request: IncomingMessage, body: Buffer, query: URLSearchParams, send: Send): void {
    const metadata = Object.fromEntries(Object.entries(request.headers).filter(([name]) => name.startsWith('x-amz-meta-'))) as Record<
      string,
      string
    >;
    if (query.has('uploads')) {
      const id = String((this.#count += 1));
      this.#uploads.set(id, { key, metadata, parts: new Map() });
      send(200, {}, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
      return;
    }
    const upload = query.has('uploadId') ? this.#uploads.get(query.get('uploadId') ?? '') : undefined;
    if (query.has('uploadId') && !upload) throw new Refusal(404, 'NoSuchUpload');
    const source = request.headers['x-amz-copy-source'];
    const sent = source === undefined ? body : this.#copied(String(source), request);
    if (upload && request.method === 'PUT') {
      upload.parts.set(Number(query.get('partNumber')), sent);
      if (source === undefined) send(200, { etag: `"${md5(sent)}"` });
      else send(200, {}, `<CopyPartResult><ETag>"${md5(sent)}"</ETag></CopyPartResult>`);
      return;
    }
    this.#requireCondition(key, request);
    const bytes = upload ? Buffer.concat([...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part)) : sent;
    const etag = upload ? `${md5(bytes)}-${upload.parts.size}` : md5(bytes);
    this.objects.set(key, { body: bytes, etag, metadata: upload?.metadata ?? metadata, modified: new Date() });
    this.#uploads.delete(query.get('uploadId') ?? '');
    if (upload) send(200, {}, `<CompleteMultipartUploadResult><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`);
    else if (source !== undefined) send(200, {}, `<CopyObjectResult><ETag>"${etag}"</ETag></CopyObjectResult>`);
    else send(200, { etag: `"${etag}"` });
  }

  /** The bytes of `<bucket>/<key>`, or a range of them. */
  #copied(source: string, { headers }: IncomingMessage): Buffer {
    const object = this.objects.get(decodeURIComponent(source.replace(/^\/?[^/]*\//, '')));
    if (!object) throw new Refusal(404, 'NoSuchKey');
    const wanted = headers['x-amz-copy-source-if-match'];
    if (wanted !== undefined && String(wanted).replaceAll('"', '') !== object.etag) throw new Refusal(412, 'PreconditionFailed');
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(String(headers['x-amz-copy-source-range'] ?? '')) ?? [];
    return from === undefined ? object.body : object.body.subarray(Number(from), Number(to) + 1);
  }

  #read(key: string, { headers }: IncomingMessage, query: URLSearchParams, send: Send): void {
    if (query.has('uploadId')) {
      send(200, {}, '<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>');
      return;
    }
    const object = this.objects.get(key);
    if (!object) throw new Refusal(404, 'NoSuchKey');
    const wanted = headers['if-match'];
    if (wanted !== undefined && wanted.replaceAll('"', '') !== object.etag) throw new Refusal(412, 'PreconditionFailed');
    const facts = { etag: `"${object.etag}"`, 'last-modified': object.modified.toUTCString(), ...object.metadata };
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? [];
    if (from === undefined) {
      send(200, facts, object.body);
      return;
    }
    const end = Math.min(to === '' ? Infinity : Number(to) + 1, object.body.length);
    send(206, { ...facts, 'content-range': `bytes ${from}-${end - 1}/${object.body.length}` }, object.body.subarray(Number(from), end));
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    const page = keys.slice(0, Number(query.get('max-keys') ?? 1000));
    const entries = page.map((key) => {
      const { body, etag, modified } = this.objects.get(key) as StoredObject;
      return `<Contents><Key>${escape(key)}</Key><LastModified>${modified.toISOString()}</LastModified><ETag>"${etag}"</ETag><Size>${body.length}</Size></Contents>`;
    });
    const more = keys.length > page.length ? `<NextContinuationToken>${escape(page.at(-1))}</NextContinuationToken>` : '';
    return `<ListBucketResult><IsTruncated>${String(more !== '')}</IsTruncated>${more}${entries.join('')}</ListBucketResult>`;
  }
}

type Send = (status: number, headers: Record<string, string>, bytes?: Buffer | string) => void;

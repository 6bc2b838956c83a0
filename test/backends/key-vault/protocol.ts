// What travels between the simulated Key Vault and a client: the error body, the pages, the rules for names and attributes.

/** An answer the vault gives instead of a result; `inner` is the useful code (`innererror.code` on the wire). */
export class VaultRefusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, message: string, inner?: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.inner = inner;
    this.headers = headers;
  }

  body(): unknown {
    return { error: { code: this.code, message: this.message, ...(this.inner === undefined ? {} : { innererror: { code: this.inner } }) } };
  }
}

export function badParameter(message: string): VaultRefusal {
  return new VaultRefusal(400, 'BadParameter', message);
}

/** A request after its token was checked. */
export interface VaultRequest {
  method: string;
  /** Path segments without the leading slash; `GET /secrets/x/` has an empty third one. */
  segments: string[];
  query: URLSearchParams;
  body: Record<string, unknown>;
  /** `https://localhost:<port>`, no slash at the end. */
  origin: string;
}

export interface VaultAnswer {
  status: number;
  body?: unknown;
}

/** Attributes as a client may send them (common.json, Attributes); times are seconds. */
export interface SettableAttributes {
  enabled?: boolean;
  nbf?: number;
  exp?: number;
}

/** Letters, digits and dashes, 1 to 127 of them (about-keys-secrets-certificates, "Object identifiers"). */
export function checkName(kind: string, name: string): void {
  if (!/^[0-9a-zA-Z-]{1,127}$/.test(name)) {
    throw badParameter(
      `The request URI contains an invalid name: ${name}. The ${kind} name must be 1 to 127 characters of letters, digits and dashes.`,
    );
  }
}

/** At most 15 tags of 512 characters each (service limits of Key Vault). */
export function checkTags(tags: unknown): Record<string, string> {
  if (tags === undefined || tags === null) return {};
  if (typeof tags !== 'object' || Array.isArray(tags)) throw badParameter('The property "tags" must be an object.');
  const entries = Object.entries(tags as Record<string, unknown>);
  if (entries.length > 15) throw badParameter('Too many tags: at most 15 are allowed.');
  for (const [name, value] of entries) {
    if (typeof value !== 'string') throw badParameter(`The value of tag "${name}" must be a string.`);
    if (name.length > 512 || value.length > 512) throw badParameter('A tag name or value is longer than 512 characters.');
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

export function checkAttributes(attributes: unknown): SettableAttributes {
  if (attributes === undefined || attributes === null) return {};
  const given = attributes as Record<string, unknown>;
  const checked: SettableAttributes = {};
  if (given['enabled'] !== undefined) {
    if (typeof given['enabled'] !== 'boolean') throw badParameter('The property "enabled" must be a boolean.');
    checked.enabled = given['enabled'];
  }
  for (const name of ['nbf', 'exp'] as const) {
    const value = given[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'number' || !Number.isInteger(value)) throw badParameter(`The property "${name}" must be a time in seconds.`);
    checked[name] = value;
  }
  return checked;
}

/** A page of a list: at most 25 items, `nextLink` with an opaque marker. */
export function page(items: unknown[], request: VaultRequest, path: string): { value: unknown[]; nextLink: string | null } {
  const asked = request.query.get('maxresults');
  const size = asked === null ? 25 : Number(asked);
  if (!Number.isInteger(size) || size < 1 || size > 25) throw badParameter('The value of maxresults must be between 1 and 25.');
  const start = readMarker(request.query.get('$skiptoken'));
  const next = new URLSearchParams({ 'api-version': request.query.get('api-version') ?? '' });
  next.set('$skiptoken', Buffer.from(JSON.stringify({ next: start + size })).toString('base64url'));
  if (asked !== null) next.set('maxresults', asked);
  const more = start + size < items.length;
  return { value: items.slice(start, start + size), nextLink: more ? `${request.origin}${path}?${next.toString()}` : null };
}

function readMarker(marker: string | null): number {
  if (marker === null) return 0;
  try {
    const { next } = JSON.parse(Buffer.from(marker, 'base64url').toString()) as { next: unknown };
    if (typeof next === 'number' && Number.isInteger(next) && next >= 0) return next;
  } catch {
    // Falls through to the refusal.
  }
  throw badParameter('The value of $skiptoken is not valid.');
}

// The query of a store's address as a person would write it: only what would mean something else is encoded.

/** `?a=x&b=y`, without what is undefined; empty when all is. */
export function readableQuery(settings: Record<string, string | undefined>): string {
  const pairs = Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${readable(value)}`]));
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function readable(value: string): string {
  return encodeURIComponent(value).replace(/%3A|%2F|%40/g, decodeURIComponent);
}

// Lists objects page by page, in pages of a few megabytes: a namespace full of large Secrets must not fill the memory.
import { ApiError } from './api-error.ts';
import type { ApiAnswer } from './connection.ts';
import { parseExactJson } from './json.ts';
import type { RepeatableRequest } from './requests.ts';
import { apiVersionOf, resourcePath, type ApiResource, type KubeObject } from './resources.ts';

export interface ListOptions {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Objects on a page at most; default 500. Fewer are asked for where objects are large. */
  limit?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface ListPage {
  /** The moment of the list, as the server counts. All pages of a list are of one moment … */
  resourceVersion: string;
  /** … unless this is true: the server had forgotten that moment, and this page and those after it are of a later one. */
  laterMoment: boolean;
  items: KubeObject[];
  /** How many objects follow, as far as the server tells. */
  remaining: number | undefined;
}

/** The size of a page that is aimed at, bytes. Objects may have 1.5 MB each. */
const PAGE_BYTES = 4 * 2 ** 20;
const FIRST_LIMIT = 100;

interface ObjectList {
  metadata?: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  items?: KubeObject[] | null;
}

/**
 * The objects of a resource. A list that takes longer than the server remembers (five minutes) goes on at a later moment, and says so.
 * @throws ApiError, ClusterUnreachableError, CancelledError
 */
export async function* listPages(
  send: (request: RepeatableRequest) => Promise<ApiAnswer>,
  resource: ApiResource,
  { namespace, labelSelector, fieldSelector, limit = 500, signal }: ListOptions = {},
): AsyncGenerator<ListPage, void> {
  const path = resourcePath(resource, { namespace });
  const apiVersion = apiVersionOf(resource);
  let size = Math.min(limit, FIRST_LIMIT);
  let laterMoment = false;
  for (let at: string | undefined; ;) {
    const request: RepeatableRequest = { method: 'GET', path, query: { labelSelector, fieldSelector, limit: size, continue: at }, signal };
    let text: string;
    try {
      ({ text } = await send(request));
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.status !== 410 || thrown.continueAt === undefined || thrown.continueAt === at)
        throw thrown;
      at = thrown.continueAt;
      laterMoment = true;
      continue;
    }
    const { metadata = {}, items } = parseExactJson(text) as ObjectList;
    // Items of a list do not say what they are, where the server has a type for them.
    const whole = (items ?? []).map((item): KubeObject => ({ ...item, apiVersion, kind: resource.kind }));
    yield { resourceVersion: metadata.resourceVersion ?? '', laterMoment, items: whole, remaining: metadata.remainingItemCount };
    at = metadata.continue || undefined;
    if (at === undefined) return;
    const each = text.length / Math.max(1, whole.length);
    size = Math.max(1, Math.min(limit, Math.floor(PAGE_BYTES / each)));
  }
}

// One small HTTP request to another service: bounded in time, repeated where that helps, its secrets in no message.
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isDefect, UserError } from '../step/errors.ts';
import { systemClock, type Clock } from './clock.ts';
import { proxyAgents } from './proxy.ts';
import { delayAfter, retryAfterMs, type Backoff } from './retry.ts';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PUT';
  /** May be a secret as a whole: only its host is ever named. */
  url: string;
  headers?: Record<string, string>;
  body?: string;
  /** Milliseconds for one attempt, the answer included; default 10,000. */
  timeoutMs?: number;
  /** Default 3. */
  attempts?: number;
  /** Milliseconds in which the last attempt must have begun; a longer Retry-After is not waited for. Default 20,000. */
  patienceMs?: number;
  clock?: Clock | undefined;
  signal?: AbortSignal | undefined;
}

/** The service could not be reached, or it refused. */
export class HttpError extends UserError {}

const BACKOFF: Backoff = { firstMs: 500 };
/** Letters of an answer that are shown. */
const SHOWN = 120;
/** Bytes of an answer that are read: the other side may go on for ever. */
const MOST_READ = 16 * 1024;

/**
 * Sends until the service answers 2xx. Repeats on connection errors, time-outs, 408, 429 and 5xx, waiting as Retry-After asks.
 * Redirects are not followed: the body would go to a place that was not named.
 * @throws HttpError naming the host and what it answered; never the path, which may be a secret
 */
export async function sendHttp(request: HttpRequest): Promise<void> {
  const { attempts = 3, patienceMs = 20_000, clock = systemClock, signal } = request;
  const deadline = clock.monotonic() + patienceMs;
  for (let attempt = 1; ; attempt += 1) {
    const answer = await attemptOnce(request);
    if (answer === undefined) return;
    const wait = answer.retryAfterMs ?? delayAfter(attempt, BACKOFF);
    if (!answer.again || attempt >= attempts || signal?.aborted || clock.monotonic() + wait > deadline) {
      throw new HttpError(`${hostOf(request.url)} ${answer.problem}${attempt > 1 ? `, after ${attempt} attempts` : ''}.`, {
        cause: answer.cause,
        fix: answer.fix,
      });
    }
    await clock.sleep(wait, signal);
  }
}

interface Refusal {
  /** Continues the sentence that begins with the host. */
  problem: string;
  again: boolean;
  retryAfterMs?: number | undefined;
  fix?: string;
  cause?: unknown;
}

async function attemptOnce(request: HttpRequest): Promise<Refusal | undefined> {
  const { timeoutMs = 10_000, signal } = request;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await exchangeHttp({ ...request, signal: signal ? AbortSignal.any([timeout, signal]) : timeout });
    return answer.status >= 200 && answer.status < 300 ? undefined : refusal(answer, shownText(answer.text, request.url));
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    if (timeout.aborted) return { problem: `did not answer within ${timeoutMs / 1000} s`, again: true, cause };
    if (signal?.aborted) return { problem: 'was not waited for', again: false, cause };
    if (isDefect(cause)) throw cause;
    return { problem: `cannot be reached (${systemCode(cause)})`, again: true, cause, ...certificateFix(cause) };
  }
}

function certificateFix(cause: unknown): { fix?: string } {
  const untrusted = /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/.test(systemCode(cause));
  return untrusted ? { fix: 'If a proxy of yours inspects TLS, set NODE_EXTRA_CA_CERTS to the file with its certificate.' } : {};
}

/** An answer, of whatever status. */
export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** The beginning of the body. */
  text: string;
}

/**
 * Sends one request, through the proxy where there is one, and reads the beginning of the answer. Follows no redirect.
 * @throws the system's error when there is no answer; UsageError when the proxy that is set is none
 */
export async function exchangeHttp({ method, url, headers = {}, body = '', signal }: HttpRequest): Promise<HttpAnswer> {
  const target = new URL(url);
  const agents = proxyAgents(url);
  const secure = target.protocol === 'https:';
  const agent = secure ? agents?.httpsAgent : agents?.httpAgent;
  try {
    return await new Promise<HttpAnswer>((resolve, reject) => {
      const request = (secure ? https : http).request(target, {
        method,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        // Without a proxy a connection of its own, which ends with the request.
        agent: agent ?? false,
        ...(signal ? { signal } : {}),
      });
      request.once('error', reject);
      request.once('response', (response) => {
        beginningOf(response).then((text) => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        }, reject);
      });
      request.end(body);
    });
  } finally {
    agent?.destroy();
  }
}

function refusal({ status, headers }: HttpAnswer, text: string): Refusal {
  const problem = `answered ${status}${text === '' ? '' : `: ${text}`}`;
  if (status === 429 || status === 503) return { problem, again: true, retryAfterMs: askedFor(headers) };
  if (status === 408 || status >= 500) return { problem, again: true };
  if (status >= 300 && status < 400) return { problem, again: false, fix: 'Redirects are not followed: use the address it leads to.' };
  if (status === 401 || status === 403 || status === 404 || status === 410) {
    return { problem, again: false, fix: 'The address or its token is wrong, or was revoked: make a new one and store it as the secret.' };
  }
  return { problem, again: false };
}

function askedFor(headers: IncomingHttpHeaders): number | undefined {
  return retryAfterMs((name) => [headers[name]].flat()[0]);
}

/** The beginning of an answer, in one line, without anything of the request's address. */
function shownText(text: string, url: string): string {
  if (/^\s*</.test(text)) return '';
  const line = text.replace(/[^\x20-\x7e]+/g, ' ').trim();
  const { pathname, search } = new URL(url);
  const leaks = [url, pathname, search].some((part) => part.length > 3 && line.includes(part));
  return leaks || line.length <= SHOWN ? (leaks ? '' : line) : `${line.slice(0, SHOWN)}…`;
}

/** What comes after that is not waited for; a body that breaks off is no matter. */
async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let read = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if ((read += chunk.length) >= MOST_READ) break;
    }
  } catch (thrown) {
    if (chunks.length === 0 && isTimeoutOrAbort(thrown)) throw thrown;
  }
  return Buffer.concat(chunks).toString();
}

function isTimeoutOrAbort(thrown: unknown): boolean {
  return /^(Abort|Timeout)Error$/.test((thrown as Error | undefined)?.name ?? '');
}

/** Host and port of an address: all of it that may be shown. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'the address';
}

/** The system's word for what went wrong, from wherever in the chain of causes it is. */
export function systemCode(thrown: unknown): string {
  const seen = new Set<unknown>();
  for (let error = thrown as Failure | undefined; typeof error === 'object' && !seen.has(error); error = error.cause ?? error.errors?.[0]) {
    seen.add(error);
    if (error.code !== undefined) return error.code;
  }
  return thrown instanceof Error ? thrown.name : 'unknown reason';
}

/** A system error, or one around those of each address that was tried. */
interface Failure {
  code?: string;
  cause?: Failure;
  errors?: Failure[];
}

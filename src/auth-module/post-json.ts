import { AuthModuleError } from './auth-module.ts';
import { classOfFailure, classOfStatus, errorOfAnswer } from './failure-class.ts';

export interface PostJsonOptions {
  /** Base address, http or https; a path is kept, a trailing slash does not matter. */
  url: string;
  /** Bearer token (RFC 6750). */
  token: string;
  /** From the first byte sent to the last byte read. */
  timeoutMs: number;
  /** Longest body that is read, after decompression. */
  maxBytes: number;
  /** Of the trace that a call belongs to; undefined where it belongs to none. */
  traceparent?: (() => string | undefined) | undefined;
}

export type PostJson = (path: string, body: unknown, signal?: AbortSignal) => Promise<unknown>;

/**
 * `POST` of JSON to one base address; resolves with the parsed body of a 2xx and throws `AuthModuleError` for anything
 * else, or the signal's reason. Connections are kept alive by fetch's own pool. Throws at once for unusable options.
 */
export function createPostJson(options: PostJsonOptions): PostJson {
  const { url, token, timeoutMs, maxBytes, traceparent = () => undefined } = options;
  const base = checkedBase(url);
  // Said here without the token, since fetch would quote an unusable header value in its error.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('The token of the Auth Module is not usable in a header.');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' };

  return async function postJson(path, body, signal) {
    signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const trace = traceparent();
    try {
      const request = {
        method: 'POST',
        headers: trace === undefined ? headers : { ...headers, traceparent: trace },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: either,
      } as const;
      const response = await fetch(base + path, request);
      return await answerOf(response, maxBytes);
    } catch (error) {
      if (error instanceof AuthModuleError) throw error;
      signal?.throwIfAborted();
      throw new AuthModuleError(timeout.aborted ? 'timeout' : classOfFailure(error));
    }
  };
}

function checkedBase(url: string): string {
  const { protocol, username, password, search, hash, origin, pathname } = new URL(url);
  const isPlain = username === '' && password === '' && search === '' && hash === '';
  if (!isPlain || !['http:', 'https:'].includes(protocol)) {
    throw new TypeError(
      'The address of the Auth Module must be http or https, without credentials, query or fragment.',
    );
  }
  return origin + pathname.replace(/\/+$/, '');
}

async function answerOf(response: Response, maxBytes: number): Promise<unknown> {
  const errorClass = classOfStatus(response.status);
  if (errorClass !== null) {
    discard(response);
    throw errorOfAnswer(response, errorClass);
  }
  const bytes = await readBounded(response, maxBytes);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw new AuthModuleError('bad-response', response.status);
  }
}

/** Lets go of an unread body. That it cannot be cancelled any more changes nothing: the status has decided. */
const discard = (response: Response): void => void response.body?.cancel().catch(() => undefined);

async function readBounded(response: Response, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the stream, so that an endless body is not read on.
  for await (const part of response.body ?? []) {
    length += part.byteLength;
    if (length > maxBytes) throw new AuthModuleError('bad-response', response.status);
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}

import { clampRetryAfterMs } from '../rules/retry.ts';
import type { ErrorClass } from '../rules/termination.ts';
import { AuthModuleError } from './auth-module.ts';

/** The class of a status, or null for 2xx. A redirect is not an answer: the Auth Module is where it is configured. */
export function classOfStatus(status: number): ErrorClass | null {
  if (status >= 200 && status < 300) return null;
  if (status >= 500) return 'server-error';
  if (status === 429) return 'throttled';
  if (status === 401 || status === 403) return 'unauthorized';
  return status >= 400 ? 'rejected' : 'bad-response';
}

/** The error for an answer that is not 2xx. Reads the status and `Retry-After` (of 429 and 503), never the body. */
export function errorOfAnswer(response: Response, errorClass: ErrorClass): AuthModuleError {
  const { status, headers } = response;
  const retryAfterMs = status === 429 || status === 503 ? parseRetryAfter(headers.get('retry-after')) : null;
  return new AuthModuleError(errorClass, status, retryAfterMs);
}

/** The class of what `fetch` or the reading of its body threw: time-outs, what is not HTTP, and everything else. */
export function classOfFailure(error: unknown): ErrorClass {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e.name === 'TimeoutError') return 'timeout';
    const code = 'code' in e && typeof e.code === 'string' ? e.code : '';
    if (/TIMEOUT$|^ETIMEDOUT$/.test(code)) return 'timeout';
    // The parser or the decompressor (Z_) gave up: somebody answered, but not with the contract.
    if (e.name === 'HTTPParserError' || /^(Z_|UND_ERR_HEADERS_OVERFLOW)/.test(code)) return 'bad-response';
  }
  return 'unreachable';
}

const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d{2}:\d{2}:\d{2}/;

/**
 * `Retry-After` in milliseconds from `now`, seconds or any HTTP-date (RFC 9110 §10.2.3, §5.6.7), within 1 s … 15 min;
 * zero and the past are 1 s, for both are legal and neither may mean "at once". Null where absent or garbage.
 */
export function parseRetryAfter(header: string | null, now: number = Date.now()): number | null {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return clampRetryAfterMs(Number(text) * 1_000);
  if (!httpDate.test(text)) return null;
  // The obsolete asctime form has no zone and means UTC.
  return clampRetryAfterMs(Date.parse(text.endsWith('GMT') ? text : `${text} GMT`) - now);
}

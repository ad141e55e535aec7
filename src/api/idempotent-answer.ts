import { createHash } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import { ServiceError } from '../errors.ts';
import type { ApiContext, ApiEnv } from './api-env.ts';
import type { ShowDecided } from './endpoint.ts';
import { type IdempotencyKeys, keyInUse } from './idempotency.ts';
import type { Answer, KeyScope, StoredAnswer } from './idempotency-reservation.ts';

/** 1 to 255 visible ASCII characters. */
const acceptableKey = /^[\x21-\x7e]{1,255}$/;
/** What a stored answer keeps; the request id and the security headers are each answer's own. */
const keptHeaders = ['content-type', 'location', 'retry-after', 'etag', 'preference-applied'];
const LONGEST_PLAIN_PATH_BYTES = 600;
const LONGEST_KEPT_ANSWER_BYTES = 16 * 1024;

/**
 * The `Idempotency-Key` header (IETF draft-ietf-httpapi-idempotency-key-header): the same key and body is done once and
 * answered again with the first answer; where that was over 16 KiB, with the resource as it then is. Runs after the authorisation, so that a replay shows nothing to who may not see it.
 * `onStoreFailed` hears of an answer that could not be kept; the client gets it all the same.
 */
export function createIdempotentAnswer(keys: IdempotencyKeys, onStoreFailed: (error: unknown) => void) {
  return (showDecided: ShowDecided): MiddlewareHandler<ApiEnv> =>
    async function idempotentAnswer(c, next) {
      const scope = keyScope(c);
      if (scope === undefined) return next();
      const reservation = await keys.reserve(scope, createHash('sha256').update(c.get('bodyBytes')).digest());
      if (reservation.state === 'answered') return replay(c, reservation.answer);
      if (reservation.state === 'in-use') throw keyInUse();
      if (reservation.state === 'ours') return answerFirst(c, next, scope, reservation.id);
      const shown = await showIfThere(() => showDecided(c, reservation.resource.id));
      if (shown !== undefined) return replayed(shown);
      // decided, but not (or never) come to life: a grant that is being activated, or that was voided
      const taken = reservation.lapsed ? await keys.takeOver(scope, reservation.id) : undefined;
      if (taken === undefined) throw keyInUse();
      return answerFirst(c, next, scope, taken);
    };

  async function answerFirst(
    c: ApiContext,
    next: () => Promise<void>,
    scope: KeyScope,
    reservationId: string,
  ): Promise<void> {
    c.set('onDecided', keys.onDecided(scope, reservationId));
    await next();
    const { status } = c.res;
    try {
      const answer = isStored(status, c.error) ? await answerOf(c.res) : undefined;
      if (answer !== undefined && isShort(answer)) await keys.finish(scope, reservationId, answer);
      else await keys.release(scope, reservationId);
    } catch (error) {
      onStoreFailed(error);
    }
  }
}

function keyScope(c: ApiContext): KeyScope | undefined {
  const key = c.req.header('idempotency-key');
  if (key === undefined) return undefined;
  if (!acceptableKey.test(key))
    throw new ServiceError('malformed-request', 'An Idempotency-Key is 1 to 255 visible ASCII characters.');
  // from the decoded ids: one path, however it is spelled; shortened where an index entry could not hold it
  const path = JSON.stringify([c.get('routePath'), c.get('pathIds')]);
  const shortPath =
    Buffer.byteLength(path) <= LONGEST_PLAIN_PATH_BYTES
      ? path
      : `sha256:${createHash('sha256').update(path).digest('hex')}`;
  return { caller: c.get('callerKey'), path: shortPath, key };
}

/** A refusal that may be over by the next try is not the answer to keep. */
function isStored(status: number, error: Error | undefined): boolean {
  if (status === 401 || status === 403 || status === 429 || status >= 500) return false;
  return !(error instanceof ServiceError && error.code === 'idempotency-key-in-use');
}

const isShort = ({ body }: Answer): boolean => Buffer.byteLength(body) <= LONGEST_KEPT_ANSWER_BYTES;

async function answerOf(response: Response): Promise<Answer> {
  const headers: Record<string, string> = {};
  for (const name of keptHeaders) {
    const value = response.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  return { status: response.status, headers, body: await response.clone().text() };
}

const replay = (c: ApiContext, { status, headers, body }: StoredAnswer): Response =>
  c.body(body, status, { ...headers, 'Idempotent-Replayed': 'true' });

function replayed(response: Response): Response {
  response.headers.set('Idempotent-Replayed', 'true');
  return response;
}

async function showIfThere(show: () => Promise<Response>): Promise<Response | undefined> {
  try {
    return await show();
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'not-found') return undefined;
    throw error;
  }
}

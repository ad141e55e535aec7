import { randomUUID } from 'node:crypto';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { sql } from 'kysely';
import { type Queryable, row } from '../database.ts';
import { ServiceError } from '../errors.ts';

/** A key is its caller's own, on one path. */
export interface KeyScope {
  caller: string;
  path: string;
  key: string;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}
export interface StoredAnswer extends Answer {
  status: ContentfulStatusCode;
}

/** What a key stands for: still to be done by us, done and answered, done without an answer, or being done elsewhere. */
export type Reservation =
  | { state: 'ours'; id: string }
  | { state: 'answered'; answer: StoredAnswer }
  | { state: 'decided'; resource: { kind: string; id: string }; lapsed: boolean; id: string }
  | { state: 'in-use' };

/** Longer than any request may take: a key whose process died is free again after it. */
const RESERVED_SECONDS = 60;
const KEPT_HOURS = 24;

interface KeyRow {
  same_body: boolean;
  lapsed: boolean;
  reservation: string;
  resource_kind: string | null;
  resource_id: string | null;
  response_status: ContentfulStatusCode | null;
  response_headers: Record<string, string> | null;
  response_body: string | null;
}

export const matches = ({ caller, path, key }: KeyScope) => sql`caller = ${caller} and path = ${path} and key = ${key}`;
const until = sql`current_instant() + make_interval(secs => ${RESERVED_SECONDS})`;
/** Its time is over, or it ends later than any that is made now: the database's clock was set back since. */
const lapsed = sql`(reserved_until <= current_instant() or reserved_until > ${until})`;

/** Takes the key, or says what became of it. Throws `idempotency-key-reused` where it was sent with another body. */
export async function reserve(pool: Queryable, scope: KeyScope, bodyHash: Buffer): Promise<Reservation> {
  const id = randomUUID();
  if (await insert(pool, scope, bodyHash, id)) return { state: 'ours', id };
  const found = await read(pool, scope, bodyHash);
  // given back between the two statements
  if (found === undefined) return { state: 'in-use' };
  if (!found.same_body) throw keyReused();
  const reservation = stateOf(found);
  if (reservation.state !== 'in-use' || !found.lapsed) return reservation;
  const taken = await takeOver(pool, scope, found.reservation);
  return taken === undefined ? reservation : { state: 'ours', id: taken };
}

/** Takes over a lapsed reservation, forgetting what it decided; undefined where another request was faster. */
export async function takeOver(pool: Queryable, scope: KeyScope, lapsedId: string): Promise<string | undefined> {
  const taken = await row<{ reservation: string }>(
    pool,
    sql`update idempotency_keys set reservation = ${randomUUID()}, reserved_until = ${until}, resource_kind = null, resource_id = null
      where ${matches(scope)} and reservation = ${lapsedId} and response_status is null and ${lapsed} returning reservation`,
  );
  return taken?.reservation;
}

/** One statement, so that of two requests with a new key one is first. A key that is a day old counts as absent. */
async function insert(
  pool: Queryable,
  { caller, path, key }: KeyScope,
  bodyHash: Buffer,
  id: string,
): Promise<boolean> {
  const inserted = await row(
    pool,
    sql`insert into idempotency_keys as k (caller, path, key, body_hash, reservation, created_at, reserved_until)
      values (${caller}, ${path}, ${key}, ${bodyHash}, ${id}, current_instant(), ${until})
      on conflict (caller, path, key) do update set body_hash = excluded.body_hash, reservation = excluded.reservation,
        created_at = excluded.created_at, reserved_until = excluded.reserved_until, resource_kind = null, resource_id = null,
        response_status = null, response_headers = null, response_body = null
        where k.created_at <= current_instant() - make_interval(hours => ${KEPT_HOURS})
      returning 1`,
  );
  return inserted !== undefined;
}

const read = (pool: Queryable, scope: KeyScope, bodyHash: Buffer): Promise<KeyRow | undefined> =>
  row<KeyRow>(
    pool,
    sql`select body_hash = ${bodyHash} as same_body, ${lapsed} as lapsed, reservation,
      resource_kind, resource_id, response_status, response_headers, response_body from idempotency_keys where ${matches(scope)}`,
  );

function stateOf(found: KeyRow): Reservation {
  if (found.response_status !== null) {
    return {
      state: 'answered',
      answer: { status: found.response_status, headers: found.response_headers ?? {}, body: found.response_body ?? '' },
    };
  }
  if (found.resource_kind === null || found.resource_id === null) return { state: 'in-use' };
  return {
    state: 'decided',
    resource: { kind: found.resource_kind, id: found.resource_id },
    lapsed: found.lapsed,
    id: found.reservation,
  };
}

const keyReused = () =>
  new ServiceError('idempotency-key-reused', 'This Idempotency-Key was sent before with another body.');

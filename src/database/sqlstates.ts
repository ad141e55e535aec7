/**
 * What a failure of the database means for who asked. Codes: PostgreSQL manual, appendix A; those without five characters
 * are Node's, of a connection that could not be made. Everything here passes by itself or by the operator's hand, so the
 * answer is 503 and a retry is right; what stands in no line is a mistake of this service.
 */
export const failureClasses = [
  'unreachable',
  'refused',
  'full',
  'read-only',
  'locked',
  'timed-out',
  'conflict',
  'broken',
] as const;
export type FailureClass = (typeof failureClasses)[number];

/** The first line that fits counts. */
const classes: readonly [FailureClass, RegExp][] = [
  ['read-only', /^25006/], // read_only_sql_transaction: a standby, or a primary that was demoted
  ['locked', /^55P03/], // lock_not_available: lock_timeout
  ['timed-out', /^(57014|25P03|25P04)/], // query_canceled: statement_timeout; idle_in_transaction_…, transaction_timeout
  ['unreachable', /^(08|57P)/], // connection exceptions; the server is stopping, starting or has crashed
  ['refused', /^(28|3D000)/], // invalid authorization; the database does not exist
  ['full', /^53/], // insufficient resources: disk full, out of memory, too many connections, a limit
  ['conflict', /^40/], // transaction rollback: still deadlocked, or unserializable, after all tries
  ['broken', /^(58|XX)/], // system error outside PostgreSQL (the disk); internal error, corrupted data
  ['unreachable', /^(ECONN|EPIPE|ENOTFOUND|ENOENT|EACCES|ETIMEDOUT|EAI_|EHOST|ENET|EADDR)/],
];

/** Said by `pg` and its pool without a code. */
const unreachable =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query read timeout|timeout expired/;

/** Undefined: not a trouble of the database's. */
export function failureClassOf(error: unknown): FailureClass | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    const code = 'code' in e && typeof e.code === 'string' ? e.code : '';
    const found = classes.find(([, codes]) => codes.test(code))?.[0];
    if (found !== undefined) return found;
    // whatever was the reason, TLS say, no statement was sent
    if (e.name === 'ConnectionFailed' || unreachable.test(e.message)) return 'unreachable';
  }
  return undefined;
}

/** Whether what one statement met is what any other would meet now. Else it may be that statement's own: it was too large, say. */
export function failsAll(error: unknown): boolean {
  const failure = failureClassOf(error);
  return failure === 'unreachable' || failure === 'refused' || failure === 'full' || failure === 'locked';
}

/** Five capitals and digits; of Node's codes some have five letters (`EPIPE`), and no digit. */
const isSqlstate = (code: string): boolean => /^(?=.*\d)[0-9A-Z]{5}$/.test(code);

/** The server's own code, through whatever wraps it. */
export function sqlstateOf(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = e.cause)
    if ('code' in e && typeof e.code === 'string' && isSqlstate(e.code)) return e.code;
  return undefined;
}

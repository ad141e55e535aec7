/** What an operator can do about a failure that its code alone does not explain. Never quotes the error. */

const pooler =
  'a pooler in transaction mode (PgBouncer) stands before the database: set DATABASE_POOLED=1, and DATABASE_LISTEN_URL to the address of the database itself (docs/guides/postgresql.md)';

const hints: readonly [hint: string, codes: RegExp, message?: RegExp][] = [
  [pooler, /^08P01$/, /startup parameter/],
  [pooler, /^(26000|42P05)$/, /prepared statement/],
  [
    "the database's certificate is for another host name: connect by a name that it holds, or have one made for this name",
    /^ERR_TLS_CERT_ALTNAME_INVALID$/,
  ],
  [
    "the database's certificate is signed by no authority in sslrootcert",
    /^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE)/,
  ],
  ["the database's certificate is out of date or revoked", /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|CERT_REVOKED)$/],
  ['the database offers no TLS, which sslmode demands', /./, /does not support SSL/],
  ["the database's rules (pg_hba.conf) let nobody in this way: another sslmode, user, database or address", /^28000$/],
  ['the database can be read and not written: a standby, or a primary that was demoted', /^25006$/],
  ["the database's disk is full", /^53100$/],
];

/** Undefined where the code says it all. */
export function hintOf(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    const code = 'code' in e && typeof e.code === 'string' ? e.code : e.name;
    const { message } = e;
    const found = hints.find(([, codes, messages = /^/]) => codes.test(code) && messages.test(message));
    if (found !== undefined) return found[0];
  }
  return undefined;
}

/** For a command's one line: what went wrong, and what to do where we know it. */
export function explainFailure(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  const hint = hintOf(error);
  return hint === undefined ? message : `${message}\n${hint}`;
}

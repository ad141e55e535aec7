/** What the log may say of an error: its code, which tells most (`28P01`, `ECONNREFUSED`), else its name; never its message, which may quote values. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number')
    ? String(error.code)
    : error.name;
}

/** The lines that say where, after the message, which may be of several lines itself; an error may also quote its cause's. */
export function framesOf(error: unknown): string[] {
  if (!(error instanceof Error) || error.stack === undefined) return [];
  const messageAt = error.stack.indexOf(error.message);
  if (messageAt < 0) return [];
  const rest = error.stack.slice(messageAt + error.message.length);
  return rest.split('\n').filter((line) => /^ {4}at .+:\d+:\d+\)?$/.test(line));
}

/** What an error comes from in the end: `fetch failed` says nothing, its cause (`ENOTFOUND`, `CERT_HAS_EXPIRED`) does. */
export function rootCauseOf(error: unknown): unknown {
  if (error instanceof AggregateError && error.errors.length > 0) return rootCauseOf(error.errors[0]);
  return error instanceof Error && error.cause !== undefined ? rootCauseOf(error.cause) : error;
}

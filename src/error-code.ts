/** What the log may say of an error: its code, which tells most (`28P01`, `ECONNREFUSED`), else its name; never its message, which may quote values. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number')
    ? String(error.code)
    : error.name;
}

/** One line for one event; `fields` never hold a token, a cookie or free text of a user. */
export type Log = (message: string, fields?: Record<string, unknown>) => void;

export function errorFields(error: unknown): Record<string, unknown> {
  return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

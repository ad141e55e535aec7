/** A failure that its message explains completely: shown as it is, without a stack. */
export class Problem extends Error {
  override readonly name = 'Problem';
}

/** The text for a person: a Problem's message, of anything else the stack, for that is a fault of ours. */
export function explain(error: unknown): string {
  if (error instanceof Problem) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

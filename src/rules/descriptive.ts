/** What only describes a sign-in. A sign-in must not be refused for a browser's name, so anything becomes something that can be kept. */
const REPLACEMENT = '\u{FFFD}';
export const LONGEST_USER_AGENT = 1_024;
export const LONGEST_DESCRIPTION = 255;
export const MOST_METHODS = 32;

/**
 * Text without NUL and unpaired surrogates, which PostgreSQL cannot store, of at most `max` UTF-16 units and cut
 * between code points; null for what is no text.
 */
export function describedBy(told: unknown, max = LONGEST_DESCRIPTION): string | null {
  if (typeof told !== 'string') return null;
  // cut first, so that no effort goes into what is not kept; a pair that the cut tears goes whole
  const isTorn =
    told.length > max && /[\uD800-\uDBFF]/.test(told.charAt(max - 1)) && /[\uDC00-\uDFFF]/.test(told.charAt(max));
  return told.slice(0, isTorn ? max - 1 : max).replaceAll(/[\0\p{Cs}]/gu, REPLACEMENT);
}

/** The methods of a sign-in that can be kept, the first 32; null for what is no list. */
export function describedMethods(told: unknown): string[] | null {
  if (!Array.isArray(told)) return null;
  return told.flatMap((method) => describedBy(method) ?? []).slice(0, MOST_METHODS);
}

/** How long a client wants an answer to be waited for (RFC 7240), and what of it was applied. */
export interface WaitPreference {
  waitSeconds: number;
  /** The value of `Preference-Applied`; null where nothing was asked for that could be applied. */
  applied: string | null;
}

const DEFAULT_WAIT_SECONDS = 2;
const MAX_WAIT_SECONDS = 30;

/**
 * Reads `wait` and `respond-async`. A preference is a wish, so one that cannot be understood is ignored, and a wait
 * beyond the maximum is granted up to it; `Preference-Applied` says what was done. With both, `wait` bounds the time
 * before the asynchronous answer (§4.3). Of a preference given twice the first counts (§2).
 */
export function waitPreference(header: string | undefined): WaitPreference {
  const preferences = new Map<string, string>();
  for (const part of (header ?? '').split(',')) {
    const [name = '', value = ''] = (part.split(';', 1)[0] ?? '').split('=', 2);
    const token = name.trim().toLowerCase();
    if (!preferences.has(token)) preferences.set(token, value.trim().replace(/^"(.*)"$/, '$1'));
  }
  const wait = preferences.get('wait') ?? '';
  if (/^\d{1,9}$/.test(wait)) {
    const waitSeconds = Math.min(Number(wait), MAX_WAIT_SECONDS);
    return { waitSeconds, applied: `wait=${waitSeconds}` };
  }
  if (preferences.has('respond-async')) return { waitSeconds: 0, applied: 'respond-async' };
  return { waitSeconds: DEFAULT_WAIT_SECONDS, applied: null };
}

/**
 * The revision that `If-Match` asks for (RFC 9110 §13.1.1): undefined where any will do. Anything that is not exactly
 * one strong tag of ours matches no revision, and revisions begin at 1.
 */
export function requiredRevision(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined;
  return Number(/^\s*"([1-9]\d{0,8})"\s*$/.exec(ifMatch)?.[1] ?? 0);
}

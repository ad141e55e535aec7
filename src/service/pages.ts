import type { Page, PagePosition } from './index.ts';

/** Makes a page of up to `limit` rows out of a query for `limit + 1`: the extra row only tells that there is more. */
export function pageOf<R, T>(
  found: readonly R[],
  limit: number,
  position: (row: R) => PagePosition,
  view: (row: R) => T,
): Page<T> {
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return { items: shown.map(view), next: found.length > limit && last !== undefined ? position(last) : null };
}

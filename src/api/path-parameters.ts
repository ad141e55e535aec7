/** A path parameter, percent-decoded; null where it is not valid percent-encoded UTF-8. */
export type PathParameters = Record<string, string | null>;

/**
 * Reads the parameters of a documented path (`/v1/organizations/{org}/…`) from the URL as it was sent, so that each is
 * decoded exactly once: two spellings of one id are one id, and a broken spelling is nobody's.
 */
export function pathParameters(pattern: string): (url: string) => PathParameters {
  const names = pattern.split('/').map((segment) => /^\{(.+)\}$/.exec(segment)?.[1]);
  return (url) => {
    const segments = pathOf(url).split('/');
    const found: PathParameters = {};
    for (const [index, name] of names.entries()) if (name !== undefined) found[name] = decode(segments[index] ?? '');
    return found;
  };
}

/** The path of an absolute URL or of a request target, undecoded and without its query. */
export function pathOf(url: string): string {
  const start = url.startsWith('/') ? 0 : url.indexOf('/', url.indexOf('://') + 3);
  const end = url.search(/[?#]/);
  return url.slice(start, end === -1 ? undefined : end);
}

function decode(segment: string): string | null {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

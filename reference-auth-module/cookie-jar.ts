/** What a browser keeps of one site: cookies by name, each sent to its own path and below. */
export class CookieJar {
  readonly #cookies = new Map<string, { value: string; path: string }>();

  store(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const [name, value] = splitOnce(pair);
      const path = attributes.map(splitOnce).find(([key]) => key.toLowerCase() === 'path')?.[1] ?? '/';
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, { value, path });
    }
  }

  header(url: URL): string {
    const isBelow = (path: string) =>
      url.pathname === path || url.pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
    return [...this.#cookies]
      .filter(([, { path }]) => isBelow(path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
  }
}

/** One request as a browser makes it: with its cookies, a form if there is one, redirects left to the caller. */
export async function visit(cookies: CookieJar, url: URL, form?: Record<string, string>): Promise<Response> {
  const response = await fetch(url, {
    headers: { cookie: cookies.header(url), accept: 'text/html', 'user-agent': 'reference-auth-module-client' },
    redirect: 'manual',
    ...(form && { method: 'POST', body: new URLSearchParams(form) }),
  });
  cookies.store(response);
  return response;
}

function splitOnce(pair: string): [string, string] {
  const at = pair.indexOf('=');
  return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

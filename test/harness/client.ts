import type { Issuer } from './issuer.ts';
import type { Stack } from './stack.ts';

export interface Answer<T = Record<string, unknown>> {
  status: number;
  headers: Headers;
  body: T;
  text: string;
}

export interface RequestOptions {
  token?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface SeenAnswer {
  url: string;
  method: string;
  path: string;
  answer: Answer<unknown>;
}
/** Each hears of every answer that `call` gets: for what must hold of all of them. */
export const answerListeners = new Set<(seen: SeenAnswer) => void>();

/** One call over HTTP. A body that is an object is sent as JSON. */
export async function call<T = Record<string, unknown>>(
  stack: Pick<Stack, 'url'>,
  method: string,
  path: string,
  { token, body, headers = {} }: RequestOptions = {},
): Promise<Answer<T>> {
  const response = await fetch(`${stack.url}${path}`, {
    method,
    headers: {
      ...(token == null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '') && text !== '';
  const answer = {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson ? JSON.parse(text) : {}) as T,
  };
  for (const listen of answerListeners) listen({ url: stack.url, method, path, answer });
  return answer;
}

/** Tokens of the usual callers. An admin's own session has no row here unless a test reports it. */
export const tokens = (issuer: Issuer) => ({
  orgAdmin: (organization: string, { sub = 'admin', sid }: { sub?: string; sid?: string } = {}) =>
    issuer.token({ sub, roles: ['org_admin'], org_id: organization, sid: sid ?? `sid-of-${sub}` }),
  globalAdmin: ({ sub = 'staff', sid, home = 'vendor' }: { sub?: string; sid?: string; home?: string } = {}) =>
    issuer.token({ sub, roles: ['global_admin'], org_id: home, sid: sid ?? `sid-of-${sub}` }),
  machine: (scope: string, organization?: string) =>
    issuer.token({ sub: 'machine', client_id: 'machine', scope, org_id: organization }),
});

/** Asks again until `condition` holds; rejects with the last answer when it does not within `withinMs`. */
export async function eventually<T>(
  ask: () => Promise<T>,
  condition: (answer: T) => boolean,
  withinMs = 20_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (condition(answer)) return answer;
    if (performance.now() > end)
      throw new Error(`did not become true within ${withinMs} ms; the last answer was ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

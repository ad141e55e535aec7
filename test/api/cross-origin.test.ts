import { OpenAPIHono } from '@hono/zod-openapi';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApiEnv } from '../../src/api/api-env.ts';
import { createMethodsOf } from '../../src/api/unmatched.ts';
import { loadConfig } from '../../src/config.ts';
import { useStack } from '../harness/stack.ts';
import { observer, terminate } from '../harness/terminations.ts';
import { openReader } from './open-reader.ts';
import { bareApp } from './route-table.ts';

const [admin, other] = ['https://admin.example.com', 'http://localhost:5173'];
const stack = useStack({ worker: false, environment: { CORS_ALLOWED_ORIGINS: `${admin}, ${other}` } });

const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
  fetch(`${stack.url}${path}`, { method, headers });
const preflight = (path: string, origin: string, method = 'GET') =>
  ask('OPTIONS', path, {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': 'authorization',
  });
const listed = (headers: Headers, name: string) =>
  (headers.get(name) ?? '')
    .split(',')
    .map((value) => value.trim())
    .toSorted();
const corsHeaders = (headers: Headers) => [...headers.keys()].filter((name) => name.startsWith('access-control-'));

const users = '/v1/organizations/acme/users/grace/sessions';
const machines = ['/v1/session-events', '/v1/support-access/check', '/metrics', '/healthz', '/readyz', '/openapi.json'];

/** The documented paths with something in place of their ids, and the methods of each. */
const routes = Map.groupBy(
  bareApp().routes.filter(({ method }) => method !== 'ALL'),
  ({ path }) => path.replaceAll(/:\w+/g, 'x'),
);

describe('a preflight', () => {
  it('of an allowed origin is 204 with the methods of that route, for each route of a person', async () => {
    const paths = [...routes.keys()].filter((path) => path.startsWith('/v1/organizations'));
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) {
      const answer = await preflight(path, admin);
      const methods = (routes.get(path) ?? []).flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
      expect([answer.status, await answer.text()], path).toEqual([204, '']);
      expect(listed(answer.headers, 'access-control-allow-methods'), path).toEqual([...new Set(methods)].toSorted());
    }
  });

  it('says what may be sent, for how long it holds, and on what it depends', async () => {
    const { headers } = await preflight(users, other);
    expect(headers.get('access-control-allow-origin')).toBe(other);
    expect(headers.get('access-control-max-age')).toBe('600');
    expect(listed(headers, 'access-control-allow-headers')).toEqual(
      [
        'Authorization',
        'Content-Type',
        'Accept',
        'Idempotency-Key',
        'If-Match',
        'Last-Event-ID',
        'Prefer',
        'X-Request-Id',
        'traceparent',
      ].toSorted(),
    );
    expect(listed(headers, 'vary')).toContain('Origin');
    expect(headers.has('access-control-allow-credentials')).toBe(false);
  });

  it('of another origin, or that is none, is answered as without this', async () => {
    for (const origin of [
      'https://evil.example.com',
      `${admin}.evil.example`,
      'https://admin.example.com:444',
      'null',
    ]) {
      const answer = await preflight(users, origin);
      expect([answer.status, answer.headers.get('allow'), corsHeaders(answer.headers)], origin).toEqual([
        405,
        'GET, HEAD',
        [],
      ]);
    }
    expect((await ask('OPTIONS', users, { origin: admin })).status).toBe(405);
    expect((await preflight('/v1/organizations/acme/nothing', admin)).status).toBe(404);
  });

  it('is not for machines’ endpoints and pages', async () => {
    for (const path of machines) {
      const answer = await preflight(path, admin, 'POST');
      expect([answer.status, corsHeaders(answer.headers)], path).toEqual([405, []]);
      const got = await ask('GET', path, { origin: admin });
      expect([corsHeaders(got.headers), got.headers.get('cross-origin-resource-policy')], path).toEqual([
        [],
        'same-origin',
      ]);
    }
  });
});

it('a path that two routes match answers to the methods of both: a word in one of them may be an id in the other', () => {
  const app = new OpenAPIHono<ApiEnv>();
  for (const path of ['/sessions/:session', '/sessions/terminate']) app.get(path, (c) => c.text(''));
  app.post('/sessions/terminate', (c) => c.text(''));
  const methodsOf = createMethodsOf(app);
  expect(methodsOf('/sessions/one')).toEqual(['GET', 'HEAD']);
  expect(methodsOf('/sessions/terminate')).toEqual(['GET', 'HEAD', 'POST']);
  expect(methodsOf('/sessions')).toBeUndefined();
});

describe('an answer', () => {
  const expectShared = (headers: Headers) => {
    expect(headers.get('access-control-allow-origin')).toBe(admin);
    expect(listed(headers, 'access-control-expose-headers')).toEqual(
      [
        'Location',
        'Retry-After',
        'X-Request-Id',
        'Idempotent-Replayed',
        'Preference-Applied',
        'ETag',
        'Allow',
        'WWW-Authenticate',
      ].toSorted(),
    );
    expect(listed(headers, 'vary')).toContain('Origin');
    expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    expect(headers.has('access-control-allow-credentials')).toBe(false);
  };

  it('may be read by a page of an allowed origin, refusals and what no route matches included', async () => {
    const token = await observer(stack, 'acme');
    const asked = (path: string, sent: string, method = 'GET') =>
      ask(method, path, { origin: admin, authorization: `Bearer ${sent}` });
    const answers = [
      await asked(users, token),
      await asked(users, 'nonsense'),
      await asked('/v1/organizations/elsewhere/terminations', token),
      await asked('/v1/organizations/acme/sessions/absent/terminate', token, 'POST'),
      await asked(`${users}?limit=0`, token),
      await asked('/v1/organizations/acme/nothing', token),
      await asked(users, token, 'DELETE'),
      await asked('/v1/organizations/acme/terminations?cursor=forged', token),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 403, 404, 422, 404, 405, 400]);
    for (const { headers } of answers) expectShared(headers);
  });

  it('that is an event stream may be read too', async () => {
    const { body } = await terminate(stack, 'streamed', 'users/grace/sessions/terminate');
    const reader = await openReader(
      stack,
      `/v1/organizations/streamed/terminations/${body.id}/events`,
      await observer(stack, 'streamed'),
      { origin: admin },
    );
    reader.leave();
    expect(reader.status).toBe(200);
    expectShared(new Headers(reader.headers as Record<string, string>));
  });

  it('for another origin, or none, is the usual one, marked as depending on the origin', async () => {
    const token = await observer(stack, 'acme');
    for (const origin of [undefined, 'https://evil.example.com', 'null']) {
      const { status, headers } = await ask('GET', users, {
        authorization: `Bearer ${token}`,
        ...(origin && { origin }),
      });
      expect([status, corsHeaders(headers), headers.get('vary')]).toEqual([200, [], 'Origin']);
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    }
  });
});

it('no origin but the configured ones is ever let in', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.webUrl(),
        fc.constantFrom('*', 'null', `${admin}/`, admin.toUpperCase(), `${admin},${other}`, 'http://admin.example.com'),
        fc.string({
          unit: fc.constantFrom('a', 'd', 'm', 'i', 'n', '.', 'e', 'x', 'p', 'l', '-', ':', '/', 'h', 't', 's', '0'),
          maxLength: 30,
        }),
      ),
      async (origin) => {
        fc.pre(origin !== admin && origin !== other);
        const answer = await ask('GET', users, { origin: origin.trim() });
        expect(corsHeaders(answer.headers)).toEqual([]);
      },
    ),
    { numRuns: 100 },
  );
});

describe('CORS_ALLOWED_ORIGINS', () => {
  const read = (value: string) => loadConfig({ ...stack.environment, CORS_ALLOWED_ORIGINS: value }).corsAllowedOrigins;

  it('is a list of exact origins, none where nothing is said', () => {
    expect(read('')).toEqual([]);
    expect(read(`${admin} ,${other}`)).toEqual([admin, other]);
  });

  it.each([
    '*',
    `${admin}/`,
    `${admin}/page`,
    'admin.example.com',
    'null',
    'https://*.example.com',
    `${admin},`,
    'ftp://x',
    'https://Admin.example.com',
    'https://a.example:443',
    'https://user@a.example',
  ])('%s is refused at start, by its name', (value) => {
    expect(() => read(value)).toThrow(/CORS_ALLOWED_ORIGINS: must be exact origins/);
  });
});

import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWTPayload } from 'jose';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, call, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { expectAnswersDeclared, readDocument } from './declared-answers.ts';
import { fingerprint } from './fingerprint.ts';
import { plantGrant, type Planted, plantOrganization } from './planted-organization.ts';
import { bodyOf, type Ids, pathOf as pathInAcme, properClaims, scopeOf } from './proper-requests.ts';
import { bareApp, type Route, routeTable } from './route-table.ts';
import { selfSignedAuthorization, unacceptableAuthorizations } from './unacceptable-tokens.ts';

// no worker: whatever changes, a request has changed
const stack = useStack({ worker: false });
expectAnswersDeclared(stack);
const routes = routeTable();
let [acme, globex] = [{} as Planted, {} as Planted];

beforeAll(async () => {
  acme = await plantOrganization(stack, 'acme');
  globex = await plantOrganization(stack, 'globex');
  await plantGrant(stack, 'acme', { userId: 'insider' });
});

const pathOf = (route: Route, ids?: Ids): string => pathInAcme(route, acme, ids);
const properToken = (route: Route): Promise<string> => stack.issuer.token(properClaims(route));

interface Sent {
  method?: string;
  path?: string;
  token?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
}
interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  requestId: string;
  errors?: { pointer: string; message: string }[];
}

async function send(route: Route, { method, path, token, body, headers }: Sent): Promise<Answer<Problem>> {
  return call<Problem>(stack, method ?? route.method, path ?? pathOf(route), {
    token: token === undefined ? await properToken(route) : token,
    body: method === 'GET' ? undefined : (body ?? bodyOf(route)),
    headers: { ...headers },
  });
}

/** Sends a request that must be refused so, in the form of every refusal. */
async function expectRefused(route: Route, sent: Sent, status: number, code: string): Promise<Answer<Problem>> {
  const requestId = `request ${randomUUID()}`;
  const answer = await send(route, { ...sent, headers: { 'x-request-id': requestId, ...sent.headers } });
  expect({ status: answer.status, code: answer.body.code }, answer.text).toEqual({ status, code });
  expectProblem(answer, requestId);
  return answer;
}

function expectProblem({ status, headers, body }: Answer<Problem>, requestId: string): void {
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(headers.get('x-request-id')).toBe(requestId);
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(body).toEqual({
    type: `urn:session-management:error:${body.code}`,
    title: expect.any(String),
    status,
    detail: expect.any(String),
    code: body.code,
    requestId,
    ...(body.errors && { errors: body.errors }),
  });
  expect(headers.get('www-authenticate')?.startsWith('Bearer') ?? false).toBe(status === 401);
  for (const error of body.errors ?? [])
    expect(error).toEqual({ pointer: expect.stringMatching(/^([/?].+)?$/), message: expect.stringMatching(/./) });
}

describe('the route table', () => {
  it('is documented whole, and nothing else is documented', async () => {
    const { paths } = await readDocument(stack);
    const documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const served = bareApp().routes.filter(({ method, path }) => method !== 'ALL' && path.startsWith('/v1'));
    const inTable = new Set(routes.map(({ method, path }) => `${method} ${path}`));
    expect(new Set(documented.filter((each) => each.includes(' /v1')))).toEqual(inTable);
    expect(new Set(served.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`))).toEqual(
      inTable,
    );
    expect(new Set(documented.filter((each) => !each.includes(' /v1')))).toEqual(
      new Set(['GET /healthz', 'GET /readyz', 'GET /metrics', 'GET /.well-known/audit-keys.json']),
    );
  });

  it('serves the endpoints that clients were promised', () => {
    const inOrganization = [
      'GET users/{user}/sessions, POST sessions/{session}/terminate, POST users/{user}/sessions/terminate, POST sessions/terminate',
      'GET terminations, GET terminations/{id}, GET terminations/{id}/events, GET terminations/{id}/receipt',
      'POST support-access-grants, GET support-access-grants, GET support-access-grants/{id}, PATCH support-access-grants/{id}, POST support-access-grants/{id}/revoke',
      'GET support-access, PUT support-access, DELETE support-access, GET audit-events, GET audit-events/head',
    ];
    const promised = inOrganization
      .flatMap((line) => line.split(', '))
      .map((each) => each.replace(' ', ' /v1/organizations/{org}/'));
    const served = routes.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(served)).toEqual(new Set([...promised, 'POST /v1/session-events', 'POST /v1/support-access/check']));
  });
});

describe.each(routes.map((route) => [`${route.method} ${route.path}`, route] as const))('%s', (_, route) => {
  // not a row of any table, whatever was refused
  let before: Record<string, string>;
  beforeAll(async () => void (before = await fingerprint(stack.database)));
  afterEach(async () => expect(await fingerprint(stack.database)).toEqual(before));

  it('refuses whoever cannot prove who they are, with 401 and how to', async () => {
    const stranger = await generateKeyPair('ES256', { extractable: true });
    const unacceptable = {
      ...(await unacceptableAuthorizations(stack.issuer, properClaims(route))),
      'a key of its own': await selfSignedAuthorization(
        stack.issuer,
        properClaims(route),
        await exportJWK(stranger.publicKey),
        stranger.privateKey,
      ),
    };
    for (const [what, authorization] of Object.entries(unacceptable)) {
      const headers: Record<string, string> = authorization === null ? {} : { authorization };
      const answer = await expectRefused(route, { token: null, headers }, 401, 'unauthenticated');
      expect(answer.text, what).not.toMatch(/exp|nbf|signature|kid|audience|issuer/i);
    }
  });

  it('refuses a person whose token names no session of theirs', async () => {
    for (const claims of [
      { roles: ['org_admin'], org_id: 'acme' },
      { roles: ['global_admin'] },
      { roles: [], scope: 'sessions:ingest support-access:check support-access:manage' },
      { support_access_grant_id: acme.grantId, org_id: 'acme' },
    ])
      await expectRefused(
        route,
        { token: await stack.issuer.token({ sub: 'admin', org_id: 'acme', ...claims }) },
        401,
        'unauthenticated',
      );
  });

  it('refuses a person whose token names no organization', async () => {
    for (const claims of [{ roles: ['org_admin'] }, { roles: ['global_admin'], support_access_grant_id: acme.grantId }])
      await expectRefused(
        route,
        { token: await stack.issuer.token({ sub: 'admin', sid: 'sid-of-admin', ...claims }) },
        401,
        'unauthenticated',
      );
  });

  it('refuses a caller whose own session has been ended here', async () => {
    const claims = { sub: acme.userId, org_id: 'acme', sid: acme.sessionIds[0] ?? '' };
    for (const roles of [['org_admin'], ['global_admin'], []])
      await expectRefused(route, { token: await stack.issuer.token({ ...claims, roles }) }, 401, 'session-ended');
  });

  it('refuses a person of no administrative role, whatever scopes their token has', async () => {
    const scope = 'sessions:ingest support-access:check support-access:manage';
    for (const claims of [
      { roles: ['member'] },
      { roles: [] },
      { roles: ['member'], scope },
      { roles: ['Org_Admin', 'org_admin '], scope },
      { scope },
    ])
      await expectRefused(
        route,
        { token: await stack.issuer.token({ sub: 'grace', org_id: 'acme', sid: 'sid-of-grace', ...claims }) },
        403,
        'role-required',
      );
  });

  it('refuses machines whose scopes are not for it', async () => {
    const manages = /^(flag|grants)\./.test(route.operation);
    const scopes = [
      'sessions:ingest',
      'support-access:check',
      'support-access:manage',
      'sessions',
      'sessions:*',
      'constructor',
      '',
    ].filter((scope) => scope !== scopeOf[route.operation] && !(manages && scope === 'support-access:manage'));
    for (const scope of [...scopes, scopes.join(' ')])
      await expectRefused(route, { token: await tokens(stack.issuer).machine(scope) }, 403, 'role-required');
    await expectRefused(
      route,
      { token: await stack.issuer.token({ sub: 'machine', client_id: 'machine', org_id: 'acme' }) },
      403,
      'role-required',
    );
  });

  if (route.inOrganization)
    it('refuses the administrator and the machine of another organization', async () => {
      await expectRefused(
        route,
        { token: await tokens(stack.issuer).orgAdmin('globex') },
        403,
        'organization-forbidden',
      );
      await expectRefused(
        route,
        { token: await tokens(stack.issuer).machine('support-access:manage', 'globex') },
        403,
        'role-required',
      );
      // nor is an id of the wrong form anybody's organization
      for (const org of ['%ff', '%00', 'x'.repeat(256), 'acme%0a', '%20'.repeat(256)])
        await expectRefused(route, { path: pathOf(route, { org }) }, 403, 'organization-forbidden');
    });

  if (route.inOrganization)
    it('refuses a Global Admin whom the organization has not allowed in', async () => {
      const staff = (claims: JWTPayload) =>
        stack.issuer.token({ sub: 'staff', roles: ['global_admin'], org_id: 'vendor', sid: 'sid-of-staff', ...claims });
      const elsewhere = pathOf(route, { org: 'initech' });
      for (const claims of [
        {},
        { org_id: 'initech' },
        { roles: ['global_admin', 'org_admin'] },
        { roles: ['org_admin'], org_id: 'initech', support_access_grant_id: acme.grantId },
      ])
        await expectRefused(route, { path: elsewhere, token: await staff(claims) }, 403, 'support-access-required');
      // under a grant that is over, no other one counts
      for (const support_access_grant_id of [acme.endedGrantId, globex.grantId, randomUUID(), 'nonsense'])
        await expectRefused(route, { token: await staff({ support_access_grant_id }) }, 403, 'support-access-required');
    });

  if (['grants.create', 'grants.change', 'flag.write'].includes(route.operation))
    it('refuses a Global Admin who was allowed in: nobody takes more access', async () => {
      for (const claims of [{}, { support_access_grant_id: acme.grantId, org_id: 'acme', roles: ['org_admin'] }])
        await expectRefused(
          route,
          {
            token: await stack.issuer.token({
              sub: 'insider',
              roles: ['global_admin'],
              org_id: 'vendor',
              sid: 'sid-of-insider',
              ...claims,
            }),
          },
          403,
          'support-access-required',
        );
    });

  if (!route.inOrganization)
    it('refuses persons of every role', async () => {
      for (const token of [
        await tokens(stack.issuer).orgAdmin('acme'),
        await tokens(stack.issuer).globalAdmin({ sub: 'insider' }),
      ])
        await expectRefused(route, { token }, 403, 'role-required');
    });

  it('refuses a query parameter that it does not know, or that is given twice', async () => {
    const { body } = await expectRefused(route, { path: `${pathOf(route)}?verbose=1` }, 422, 'validation-failed');
    expect(body.errors).toEqual([{ pointer: '?verbose', message: expect.any(String) }]);
    await expectRefused(route, { path: `${pathOf(route)}?limit=1&limit=2` }, 422, 'validation-failed');
  });

  it('refuses other methods with 405 and the ones that are allowed', async () => {
    const here = routes.filter(({ path }) => path === route.path).map(({ method }) => method);
    const allowed = new Set([...here, ...(here.includes('GET') ? ['HEAD'] : [])]);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter((each) => !allowed.has(each))) {
      const { headers } = await expectRefused(route, { method }, 405, 'method-not-allowed');
      expect(new Set(headers.get('allow')?.split(', '))).toEqual(allowed);
    }
  });

  if (route.ids.length > 0)
    it('answers an id that is foreign, absent or ill-formed with one and the same 404', async () => {
      const name = route.ids[0] as keyof Ids;
      const illFormed = [
        '%00',
        '%ff',
        'x'.repeat(256),
        '%e2%80%a8',
        '%ed%a0%80',
        ...(name === 'id' ? ['nonsense', `${acme.terminationId}0`, '%20', 'null'] : []),
      ];
      // users are not looked up: only an ill-formed one is not there
      const foreign = {
        user: [],
        session: [globex.sessionIds[1] ?? '', randomUUID()],
        id: [globex.terminationId, globex.grantId, acme.sessionIds[1] ?? '', randomUUID()],
        org: [],
      }[name];
      const shown = new Set<string>();
      for (const id of [...foreign, ...illFormed]) {
        const { text, body } = await expectRefused(route, { path: pathOf(route, { [name]: id }) }, 404, 'not-found');
        shown.add(text.replace(body.requestId, ''));
      }
      expect(shown.size).toBe(1);
    });

  if (route.hasBody)
    it('refuses a body with a field that it does not know', async () => {
      for (const field of ['unknownField', '__proto__', 'organizationId/..']) {
        const body = `${JSON.stringify(bodyOf(route)).slice(0, -1)}, ${JSON.stringify(field)}: 1}`.replace('{,', '{');
        const { body: problem } = await expectRefused(route, { body }, 422, 'validation-failed');
        expect(problem.errors?.map(({ pointer }) => pointer)).toContain(`/${field.replaceAll('/', '~1')}`);
      }
    });

  if (route.hasBody)
    it('refuses a body that is not JSON, not an object or not UTF-8', async () => {
      for (const body of ['{', 'nonsense', '{}{}', "{'a': 1}", ' '])
        await expectRefused(route, { body }, 400, 'malformed-request');
      for (const body of ['[]', '"text"', 'null', '1']) await expectRefused(route, { body }, 422, 'validation-failed');
      await expectRefused(
        route,
        { body: '{}', headers: { 'content-type': 'application/json; charset=latin1' } },
        415,
        'unsupported-media-type',
      );
    });

  if (route.hasBody)
    it('refuses a body of another type', async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/jsonp',
        'text/json',
      ])
        await expectRefused(route, { headers: { 'content-type': type } }, 415, 'unsupported-media-type');
      await expectRefused(route, { headers: { 'content-encoding': 'gzip' } }, 415, 'unsupported-media-type');
    });

  if (route.hasBody)
    it('refuses a body that is too large', async () => {
      const limit = route.operation === 'session-events.ingest' ? 4 * 1024 * 1024 : 64 * 1024;
      const requestId = randomUUID();
      const body = JSON.stringify({ reason: 'x'.repeat(limit - 12) });
      expect(body).toHaveLength(limit + 1);
      const tooLarge = await send(route, { body, headers: { 'x-request-id': requestId } });
      expect({ status: tooLarge.status, code: tooLarge.body.code }).toEqual({ status: 413, code: 'payload-too-large' });
      expect(tooLarge.headers.get('x-request-id')).toBe(requestId);
      expect((await send(route, { body: body.replace('x', '') })).body.code).not.toBe('payload-too-large');
    });

  if (route.hasBody)
    it('refuses a body without a declared length', async () => {
      const response = await fetch(`${stack.url}${pathOf(route)}`, {
        method: route.method,
        headers: { authorization: `Bearer ${await properToken(route)}`, 'content-type': 'application/json' },
        body: new Blob([JSON.stringify(bodyOf(route))]).stream(),
        duplex: 'half',
      });
      const problem = (await response.json()) as Problem;
      expect({ status: response.status, code: problem.code }).toEqual({ status: 411, code: 'length-required' });
    });

  it('gives a request a fresh id where the one that was sent cannot be used', async () => {
    for (const sent of ['x'.repeat(129), 'caf\u00e9', 'tab\there']) {
      const { headers, body } = await send(route, { token: null, headers: { 'x-request-id': sent } });
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(body.requestId).toBe(headers.get('x-request-id'));
    }
  });
});

// last, since it changes what is there; it proves that each refusal above was for its one fault
it('each of these requests is accepted from its proper caller', async () => {
  for (const route of routes.toSorted(
    (a, b) => Number(/\.clear|\.revoke/.test(a.operation)) - Number(/\.clear|\.revoke/.test(b.operation)),
  )) {
    const stop = new AbortController();
    const body = bodyOf(route);
    const response = await fetch(`${stack.url}${pathOf(route)}`, {
      method: route.method,
      headers: {
        authorization: `Bearer ${await properToken(route)}`,
        prefer: 'respond-async',
        'x-request-id': 'mine',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: stop.signal,
    });
    // without a worker nothing is granted, signed or verified
    const withoutWorker: Record<string, number> = {
      createSupportAccessGrant: 503,
      getAuditHead: 404,
      getTerminationReceipt: 409,
    };
    const expected = withoutWorker[route.operationId] === undefined ? [200, 202] : [withoutWorker[route.operationId]];
    expect(expected, route.operationId).toContain(response.status);
    expect([response.headers.get('x-request-id'), response.headers.get('cache-control')]).toEqual(['mine', 'no-store']);
    stop.abort();
  }
});

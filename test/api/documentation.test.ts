import { describe, expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { expectAnswersDeclared, readDocument } from './declared-answers.ts';
import { plantOrganization } from './planted-organization.ts';

const stack = useStack({ worker: false });
const seen = expectAnswersDeclared(stack);

describe('/openapi.json', () => {
  it('is OpenAPI 3.1, and each of its references leads somewhere', async () => {
    const answer = await call(stack, 'GET', '/openapi.json');
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.body['openapi']).toMatch(/^3\.1\.\d+$/);
    for (const [, reference = ''] of answer.text.matchAll(/"\$ref":"([^"]+)"/g)) {
      const found = reference
        .replace('#/', '')
        .split('/')
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], answer.body);
      expect(found, reference).toBeTypeOf('object');
    }
  });

  it('names each operation once, says who may call it and what it refuses', async () => {
    const { paths } = await readDocument(stack);
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, ...operation })),
    );
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { path, operationId, security, responses } of operations.filter((each) =>
      each.path.startsWith('/v1/'),
    )) {
      expect(security, operationId).toEqual([{ bearer: [] }]);
      for (const status of ['401', '403', '422', '503'])
        expect(responses[status]?.content, `${operationId} ${status}`).toHaveProperty(['application/problem+json']);
      // there is a head only where there is a key, and something sealed
      const mayBeAbsent = /\{(?!org)/.test(path) || operationId === 'getAuditHead';
      expect(path.includes('{org}') && mayBeAbsent, operationId).toBe(responses['404'] !== undefined);
    }
  });

  it('declares each answer that its operations gave in a walk through all of them', async () => {
    const { terminationId, grantId, sessionIds, userId } = await plantOrganization(stack, 'walk');
    const token = await tokens(stack.issuer).orgAdmin('walk');
    const paths = [
      `users/${userId}/sessions?status=all`,
      'terminations',
      `terminations/${terminationId}`,
      'support-access-grants',
      `support-access-grants/${grantId}`,
      'support-access',
      'audit-events',
    ];
    const before = seen.judged;
    for (const path of paths)
      expect((await call(stack, 'GET', `/v1/organizations/walk/${path}`, { token })).status, path).toBe(200);
    const late = new Date(Date.now() + 7_200_000).toISOString();
    const writes = [
      ['POST', `sessions/${sessionIds[1]}/terminate`, { reason: 'x' }, 202],
      ['PATCH', `support-access-grants/${grantId}`, { expiresAt: late }, 200],
      ['PATCH', `support-access-grants/${grantId}`, { expiresAt: '2020-01-01T00:00:00Z' }, 422],
      ['POST', `support-access-grants`, { userId: null, expiresAt: late }, 409],
      ['POST', `support-access-grants/${grantId}/revoke`, {}, 200],
      ['PATCH', `support-access-grants/${grantId}`, { expiresAt: late }, 409],
      ['PUT', 'support-access', { allowUntil: '2026-13-01', timeZone: 'Europe/Zurich' }, 422],
      ['DELETE', 'support-access', undefined, 200],
    ] as const;
    for (const [method, path, body, status] of writes) {
      const answer = await call(stack, method, `/v1/organizations/walk/${path}`, {
        token,
        body,
        headers: { prefer: 'respond-async' },
      });
      expect(answer.status, `${method} ${path} ${answer.text}`).toBe(status);
    }
    await report(stack, [started({ organizationId: 'walk', userId: 'new', sessionId: 'new' }), { type: 'nonsense' }]);
    // each of them was judged against the document, and the file's end says how
    expect(seen.judged - before).toBe(paths.length + writes.length + 1);
  });
});

describe('/docs', () => {
  it('loads nothing from elsewhere, and its policy would not let it', async () => {
    const page = await call(stack, 'GET', '/docs');
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    const references = [...page.text.matchAll(/(?:src|href|action|data)\s*=\s*["']?([^"'\s>]+)/gi)].map(
      ([, reference = '']) => new URL(reference, `${stack.url}/docs`),
    );
    expect(references.length).toBeGreaterThanOrEqual(4);
    for (const reference of references) {
      expect(reference.origin).toBe(stack.url);
      const file = await fetch(reference);
      expect(file.status, reference.pathname).toBe(200);
      expect(file.headers.get('x-content-type-options')).toBe('nosniff');
      if (reference.pathname.endsWith('.css'))
        expect((await file.text()).match(/url\((?!["']?data:)[^)]*\)|@import/g)).toBeNull();
      else await file.body?.cancel();
    }
    const policy = new Map(
      (page.headers.get('content-security-policy') ?? '')
        .split('; ')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1)]),
    );
    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('script-src')).toEqual(["'self'"]);
    for (const [directive, sources] of policy)
      for (const source of sources) expect(source, directive).toMatch(/^('self'|'none'|data:|'unsafe-inline')$/);
    expect(page.text).not.toMatch(/<script(?![^>]*\bsrc=)/);
    // the page asks this very service for its document
    expect(await (await fetch(`${stack.url}/docs/initializer.js`)).text()).not.toMatch(/https?:/);
  });
});

describe('operation pages', () => {
  it('need no token, and ignore a bad one', async () => {
    for (const path of ['/openapi.json', '/docs', '/healthz', '/readyz', '/metrics'])
      for (const token of [null, 'nonsense'])
        expect((await call(stack, 'GET', path, { token })).status, path).toBe(200);
  });

  it('/readyz names each dependency, and what is away by itself takes no process out of service', async () => {
    const ready = await call(stack, 'GET', '/readyz');
    expect(ready.body).toEqual({
      status: 'ready',
      database: { status: 'up' },
      temporal: { status: 'up' },
      authModule: { status: 'up' },
      signingKeys: { status: 'up' },
    });
  });

  it('/metrics tells routes by their pattern, and nothing of anybody', async () => {
    const token = await tokens(stack.issuer).orgAdmin('measured');
    await call(stack, 'GET', '/v1/organizations/measured/users/hidden-user/sessions', { token });
    const { text, headers } = await call(stack, 'GET', '/metrics');
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    expect(text).toMatch(
      /http_request_duration_seconds_count\{method="GET",route="\/v1\/organizations\/\{org\}\/users\/\{user\}\/sessions",status="200"\} [1-9]/,
    );
    expect(text).not.toMatch(/measured|hidden-user|acme/);
  });
});

import { request } from 'node:http';
import fc from 'fast-check';
import type { JWTPayload } from 'jose';
import { beforeAll, expect, it } from 'vitest';
import { call } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { expectAnswersDeclared } from './declared-answers.ts';
import { fingerprint } from './fingerprint.ts';
import { plantGrant, type Planted, plantOrganization } from './planted-organization.ts';
import { type Route, routeTable } from './route-table.ts';

// no worker, and nobody who grants: whatever changes, a request has changed
const stack = useStack({ worker: false, environment: { TEMPORAL_ADDRESS: '127.0.0.1:1' } });
const seen = expectAnswersDeclared(stack);
const RUNS = 400;
const organizations = ['north', 'south'] as const;
type Name = (typeof organizations)[number];
const planted = {} as Record<Name, Planted>;
/** Free text and ids that are of one organization alone. */
const markers = {} as Record<Name, string[]>;
const supportGrants = {} as Record<Name, string>;

beforeAll(async () => {
  for (const name of organizations) {
    planted[name] = await plantOrganization(stack, name, `secret-of-${name}`);
    supportGrants[name] = await plantGrant(stack, name, { userId: 'invited', reason: `secret-of-${name}` });
    const { sessionIds, terminationId, grantId, endedGrantId } = planted[name];
    await report(stack, [
      started({
        organizationId: name,
        userId: 'invited',
        sessionId: `visit-${name}`,
        supportAccessGrantId: supportGrants[name],
        parentSession: { organizationId: 'vendor', sessionId: 'sid-of-invited' },
      }),
    ]);
    const audit = await stack.database.query<{ id: string }>('select id from audit_events where organization_id = $1', [
      name,
    ]);
    markers[name] = [
      `secret-of-${name}`,
      ...sessionIds,
      terminationId,
      grantId,
      endedGrantId,
      supportGrants[name],
      `visit-${name}`,
      ...audit.map(({ id }) => id),
    ];
    // only the one grant for the invited is left alive
    await stack.database.query(
      `update support_access_grants set access_ended_at = current_instant(), end_reason = 'revoked' where id = $1`,
      [grantId],
    );
  }
  await report(stack, [
    event('session.started', { organizationId: 'vendor', userId: 'invited', sessionId: 'sid-of-invited' }),
  ]);
});

interface Caller {
  claims: (own: Name) => JWTPayload;
  /** Where this caller, whose own organization is `own`, may do something at all. */
  mayActIn: (target: string, own: Name) => boolean;
}
const inOwn = (target: string, own: Name): boolean => target === own;
const nowhere = (): boolean => false;
const anywhere = (): boolean => true;
const person = (claims: (own: Name) => JWTPayload, mayActIn: Caller['mayActIn']): Caller => ({
  claims: (own) => ({ sid: 'sid', ...claims(own) }),
  mayActIn,
});
const machine = (scope: string, bound: boolean, mayActIn: Caller['mayActIn']): Caller => ({
  claims: (own) => ({ sub: 'machine', client_id: 'machine', scope, ...(bound ? { org_id: own } : {}) }),
  mayActIn,
});
const callers: Record<string, Caller> = {
  'an administrator': person((own) => ({ sub: `admin-of-${own}`, roles: ['org_admin'], org_id: own }), inOwn),
  'an administrator who is also staff': person(
    (own) => ({ sub: `admin-of-${own}`, roles: ['org_admin', 'global_admin'], org_id: own }),
    inOwn,
  ),
  'staff whom nobody invited': person(() => ({ sub: 'staff', roles: ['global_admin'], org_id: 'vendor' }), nowhere),
  'staff with grants of all': person(
    () => ({ sub: 'invited', sid: 'sid-of-invited', roles: ['global_admin'], org_id: 'vendor' }),
    anywhere,
  ),
  'a support session by its token': person(
    (own) => ({
      sub: 'invited',
      sid: `visit-${own}`,
      roles: ['org_admin'],
      org_id: own,
      support_access_grant_id: supportGrants[own],
    }),
    inOwn,
  ),
  'a support session by its row': person(
    (own) => ({ sub: 'invited', sid: `visit-${own}`, roles: ['org_admin'], org_id: own }),
    inOwn,
  ),
  'a support session that says it is at home': person(
    (own) => ({
      sub: 'invited',
      sid: `visit-${own}`,
      roles: ['org_admin'],
      org_id: 'vendor',
      support_access_grant_id: supportGrants[own],
    }),
    inOwn,
  ),
  'a support session under a grant that is over': person(
    (own) => ({
      sub: 'invited',
      roles: ['global_admin', 'org_admin'],
      org_id: own,
      support_access_grant_id: planted[own].endedGrantId,
    }),
    nowhere,
  ),
  'a member': person(
    (own) => ({
      sub: 'member',
      roles: ['member'],
      org_id: own,
      scope: 'support-access:manage sessions:ingest support-access:check',
    }),
    nowhere,
  ),
  'settings of one organization': machine('support-access:manage', true, inOwn),
  'settings of all': machine('support-access:manage', false, anywhere),
  'an Auth Module of one organization': machine('sessions:ingest', true, inOwn),
  'a gateway of one organization': machine('support-access:check', true, inOwn),
};

const isDots = (text: string): boolean => /^\.{1,2}$/.test(text);
// a client's URL library resolves dot segments before anything is sent
const garbage = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter((text) => !isDots(text)),
  fc.constantFrom('%00', '%ff', ' ', '\u202e', 'null', '0', "' or 1=1 --", '../north', 'x'.repeat(300)),
);
const encoded = (text: string): string => {
  try {
    return encodeURIComponent(text).replaceAll('.', '%2E');
  } catch {
    return '%ed%a0%80';
  }
};
type Choice = { kind: 'planted'; of: Name; n: number } | { kind: 'garbage'; text: string };
const choice: fc.Arbitrary<Choice> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('planted' as const),
      of: fc.constantFrom(...organizations),
      n: fc.nat(8),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('garbage' as const), text: garbage }) },
);
const idOf = (name: string, chosen: Choice): string => {
  if (chosen.kind === 'garbage') return encoded(chosen.text);
  const { sessionIds, terminationId, grantId, endedGrantId, userId } = planted[chosen.of];
  const known: Record<string, string[]> = {
    user: [userId, 'shared-user', 'invited'],
    session: [...sessionIds, `visit-${chosen.of}`],
    id: [terminationId, grantId, endedGrantId, supportGrants[chosen.of]],
  };
  const ids = known[name] ?? [];
  return ids[chosen.n % ids.length] ?? '';
};

const future = new Date(Date.now() + 3_600_000).toISOString();
/** Bodies that name things of `of`, whoever sends them where. */
const bodies: Record<string, (of: Name, target: string) => unknown> = {
  terminateAllSessions: (of) => ({ exceptSessionIds: planted[of].sessionIds, includeOwn: true }),
  terminateOrganizationSessions: (of) => ({ exceptSessionIds: [...planted[of].sessionIds, 'sid'] }),
  createSupportAccessGrant: (of) => ({ userId: planted[of].userId, expiresAt: future }),
  changeSupportAccessGrant: () => ({ expiresAt: future }),
  allowSupportAccess: () => ({ allowUntil: future }),
  recordSessionEvents: (of, target) => ({
    events: [
      started({
        organizationId: target,
        userId: 'shared-user',
        sessionId: planted[of].sessionIds[1] ?? '',
        chainId: `secret-of-${of}-chain-1`,
      }),
      event('session.ended', {
        organizationId: target,
        userId: planted[of].userId,
        sessionId: planted[of].sessionIds[2] ?? '',
      }),
    ],
  }),
  checkSupportAccess: (of, target) => ({
    organizationId: target,
    userId: planted[of].userId,
    role: 'global_admin',
    sessionId: planted[of].sessionIds[1],
  }),
};
const bodyFor = (route: Route, of: Name, target: string): unknown =>
  route.hasBody ? (bodies[route.operationId]?.(of, target) ?? {}) : undefined;

const routes = routeTable();
const scenario = fc.record({
  route: fc.constantFrom(...routes),
  caller: fc.constantFrom(...Object.keys(callers)),
  own: fc.constantFrom(...organizations),
  target: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom<string>(...organizations) },
    { weight: 1, arbitrary: garbage },
  ),
  id: choice,
  of: fc.constantFrom(...organizations),
  accept: fc.constantFrom('application/json', 'application/x-ndjson', 'text/csv'),
  status: fc.constantFrom('active', 'ended', 'all'),
});

const rowsOf = async (): Promise<Record<Name, unknown>> => ({
  north: await fingerprint(stack.database, 'north'),
  south: await fingerprint(stack.database, 'south'),
});

/** Nobody is ended for good, or the later runs would prove nothing. */
async function revive(): Promise<void> {
  const kept = organizations.map((name) => planted[name].terminationId);
  const grants = organizations.map((name) => supportGrants[name]);
  await stack.database.query('delete from terminations where id <> all ($1::uuid[])', [kept]);
  await stack.database.query(
    `update sessions set ended_at = null, end_reason = null, termination_id = null, sign_in_outcome = null where ended_at is not null and coalesce(termination_id <> all ($1::uuid[]), true)`,
    [kept],
  );
  await stack.database.query(
    'update refresh_token_chains set termination_id = null, outcome = null, settled_at = null where termination_id <> all ($1::uuid[])',
    [kept],
  );
  await stack.database.query(
    'update support_access_grants set access_ended_at = null, end_reason = null, ended_by = null where id = any ($1::uuid[])',
    [grants],
  );
}

it('whoever asks whatever of whomever: nothing of another organization is ever shown or changed', async () => {
  let admitted = 0;
  /** What those who may act in an organization have said there: it is shown to them again. */
  const said = new Map<string, string>();
  const property = fc.asyncProperty(
    scenario,
    async ({ route, caller: callerName, own, target, id, of, accept, status }) => {
      const caller = callers[callerName] ?? expect.unreachable();
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
        name === 'org' ? encoded(target) : idOf(name, id),
      );
      const query = route.operationId === 'getActiveSessions' ? `?status=${status}` : '';
      const body = bodyFor(route, of, target);
      await revive();
      const before = await rowsOf();
      const answer = await ask(route, `${path}${query}`, await stack.issuer.token(caller.claims(own)), body, accept);
      const what = `${callerName} of ${own}: ${route.method} ${path} -> ${answer.status} ${answer.text}`;
      if (answer.status < 300) admitted += 1;

      const mayAct = caller.mayActIn(target, own);
      // an organization that is named in the body, and by no name one can have, is a body that is not understood
      const refusals =
        route.inOrganization || organizations.some((name) => name === target) ? [401, 403] : [401, 403, 422];
      if (!mayAct && route.operationId !== 'recordSessionEvents') expect(refusals, what).toContain(answer.status);
      expect(answer.status, what).not.toBe(500);
      const asked = `${said.get(target) ?? ''} ${path} ${JSON.stringify(body ?? '')}`;
      if (mayAct) said.set(target, asked);
      for (const name of organizations) {
        if (name === target && mayAct) continue;
        // what a caller has sent itself tells it nothing
        const shown = markers[name].filter((marker) => answer.text.includes(marker) && !asked.includes(marker));
        expect(shown, what).toEqual([]);
      }
      const after = await rowsOf();
      for (const name of organizations) if (name !== target || !mayAct) expect(after[name], what).toEqual(before[name]);
    },
  );
  await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
  // the property would hold of a service that lets nobody in
  expect(admitted).toBeGreaterThan(RUNS / 20);
  expect(seen.judged).toBeGreaterThan(RUNS / 2);
});

/** A stream is read for as long as its first part takes. */
async function ask(
  route: Route,
  path: string,
  token: string,
  body: unknown,
  accept: string,
): Promise<{ status: number; text: string }> {
  if (route.operationId !== 'watchTermination')
    return call(stack, route.method, path, { token, body, headers: { accept, prefer: 'respond-async' } });
  const stop = new AbortController();
  const response = await fetch(`${stack.url}${path}`, {
    headers: { authorization: `Bearer ${token}` },
    signal: stop.signal,
  });
  const reader = response.body?.getReader();
  const text = new TextDecoder().decode((await reader?.read())?.value);
  stop.abort();
  return { status: response.status, text };
}

it('an Auth Module of one organization reports nothing for another', async () => {
  const before = await fingerprint(stack.database, 'south');
  const { sessionIds, userId } = planted.south;
  const events = [
    event('session.ended', { organizationId: 'south', userId, sessionId: sessionIds[1] ?? '' }),
    event('session.refreshed', { organizationId: 'south', userId, sessionId: sessionIds[2] ?? '' }),
    started({ organizationId: 'south', userId: 'new', sessionId: 'new' }),
    event('chain.started', { organizationId: 'south', userId, sessionId: sessionIds[2] ?? '', chainId: 'new' }),
    started({ organizationId: 'north', userId: 'new', sessionId: 'new' }),
  ];
  const token = await stack.issuer.token({
    sub: 'machine',
    client_id: 'machine',
    scope: 'sessions:ingest',
    org_id: 'north',
  });
  const { body } = await call<{ results: { outcome: string }[] }>(stack, 'POST', '/v1/session-events', {
    token,
    body: { events },
  });
  expect(body.results.map(({ outcome }) => outcome)).toEqual([
    'rejected',
    'rejected',
    'rejected',
    'rejected',
    'accepted',
  ]);
  expect(await fingerprint(stack.database, 'south')).toEqual(before);
});

it('a path with dot segments is resolved to no other', async () => {
  const before = await fingerprint(stack.database);
  const token = await stack.issuer.token({ sub: 'admin', sid: 'sid', roles: ['org_admin'], org_id: 'north' });
  for (const path of [
    '/v1/organizations/north/users/../sessions/terminate',
    '/v1/organizations/north/users/%2e%2E/sessions/terminate',
    '/v1/organizations/south/../north/sessions/terminate',
    '/v1/organizations/./sessions/terminate',
  ]) {
    const status = await new Promise((answered, failed) => {
      const sent = request(
        stack.url,
        { path, method: 'POST', headers: { authorization: `Bearer ${token}` } },
        (response) => answered(response.resume().statusCode),
      );
      sent.on('error', failed).end();
    });
    expect(status, path).toBe(400);
  }
  expect(await fingerprint(stack.database)).toEqual(before);
});

/** Everything that the service does, once: each route, each activity, each loop, each end of a branch that sends a statement of its own. */
import { randomUUID } from 'node:crypto';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { openDatabase } from '../../src/database.ts';
import { readBacklog } from '../../src/metrics/backlog.ts';
import type { TestDatabase } from '../harness/database.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import type { Stack } from '../harness/stack.ts';
import { look, observer, signIn, terminate, untilVerified } from '../harness/terminations.ts';
import { plantGrant, plantOrganization } from '../api/planted-organization.ts';
import { bodyOf, pathOf, properClaims } from '../api/proper-requests.ts';
import { routeTable } from '../api/route-table.ts';
import { inMs, minutes, useGrants } from '../support-access/use-grants.ts';

/** Answers by operation: what each route answered to a proper request. */
export async function runScenario(stack: Stack, seeded: TestDatabase): Promise<Record<string, number>> {
  const inSeeded = { ...stack, database: seeded };
  await plantOld(seeded);
  await listEverything(inSeeded);
  await endEverything(inSeeded);
  await letSupportIn(inSeeded);
  await readMetrics(inSeeded);
  return askEveryRoute(inSeeded);
}

/** What retention removes and empties, and what has expired and is not marked yet. */
const plantOld = ({ query }: TestDatabase) =>
  query(`insert into organizations (id) values ('aaa');
    insert into users (organization_id, id) values ('aaa', 'old');
    insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at, expires_at, ended_at, end_reason, client, termination_id, sign_in_outcome)
      select 'aaa', 'old-' || n, 'old', at, at, at, at, case when n < 7 then at end, case when n < 4 then 'signed-out' when n < 7 then 'terminated' end, 'web',
        case when n between 4 and 6 then (select id from terminations where verified_at is not null limit 1) end, case when n between 4 and 6 then 'invalidated' end
      from generate_series(1, 9) n, lateral (select now() - interval '100 days') x (at);
    insert into refresh_token_chains (organization_id, id, session_id, user_id, recorded_at) select 'aaa', 'chain-of-' || n, 'old-' || n, 'old', now() from generate_series(1, 9) n`);

async function get(stack: Stack, organization: string, path: string): Promise<{ nextCursor?: string | null }> {
  const token = await observer(stack, organization);
  const answer = await call<{ nextCursor?: string | null }>(stack, 'GET', `/v1/organizations/${organization}/${path}`, {
    token,
  });
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}

/** Each list with each of its filters, and from a cursor on. */
async function listEverything(stack: Stack): Promise<void> {
  const at = new Date(Date.now() - 86_400_000 * 400).toISOString();
  const lists = [
    ...['active', 'ended', 'all']
      .flatMap((status) => [`users/robot/sessions?status=${status}`, `users/user-7/sessions?status=${status}`])
      .map((path) => ['robots', path]),
    ...['active', 'ended', 'all'].map((status) => ['acme', `users/user-of-acme/sessions?status=${status}`]),
    ['acme', 'terminations?'],
    ['acme', 'support-access-grants?'],
    ...[
      '',
      'action=support-access.granted',
      'actorId=nobody',
      'subjectId=nobody',
      `to=${at}`,
      `from=${inMs(minutes(1))}`,
      `from=${at}&to=${at}`,
      `action=termination.requested&to=${at}`,
      `actorId=busy&to=${at}`,
      `subjectId=old-7&to=${at}`,
    ].map((filter) => ['acme', `audit-events?${filter}`]),
  ] as const;
  for (const [organization, path] of lists) {
    const { nextCursor } = await get(stack, organization ?? '', `${path}&limit=3`);
    if (nextCursor) await get(stack, organization ?? '', `${path}&limit=3&cursor=${nextCursor}`);
  }
}

/** Every scope, with an Auth Module that is away at first, and sign-ins after the fence; then each kind of late event. */
async function endEverything(stack: Stack): Promise<void> {
  const { database } = stack;
  await signIn(
    stack,
    ...[1, 2, 3].map((n) => ({
      organizationId: 'acme',
      userId: `u${n}`,
      sessionId: `scenario-${n}`,
      chainIds: [`c${n}`, `d${n}`],
    })),
  );
  const own = { organizationId: 'acme', userId: 'u1', sessionId: 'scenario-1' };
  await report(stack, [
    event('session.refreshed', { ...own, expiresAt: inMs(minutes(60)) }),
    event('chain.started', { ...own, chainId: 'e1' }),
  ]);
  await report(stack, [event('session.ended', { ...own, sessionId: 'scenario-out' })], {
    sentAt: new Date().toISOString(),
  });
  await stack.authModule.stop();
  const ending = await Promise.all(
    ['sessions/scenario-2/terminate', 'users/u1/sessions/terminate', 'sessions/terminate'].map((path) =>
      terminate(stack, 'acme', path),
    ),
  );
  await eventually(
    () => look(stack, 'acme', ending[2]?.body.id ?? ''),
    ({ attempts }) => attempts > 0,
  );
  // who signs in meanwhile: a hundred thousand, none of which is to be ended
  await database.query(`insert into sessions (organization_id, id, user_id, started_at, recorded_at, last_seen_at)
    select 'acme', 'newer-' || n, 'u' || 1 + n % 3, clock_timestamp(), clock_timestamp(), clock_timestamp() from generate_series(1, 50000) n`);
  await database.query('analyze sessions');
  await stack.authModule.restart();
  stack.authModule.chains.add({ ...own, chainId: 'never-told', sessionId: 'never-told' });
  for (const { body } of ending) await untilVerified(stack, body, 60_000);
  await database.query(`delete from sessions where organization_id = 'acme' and id like 'newer-%'`);
  await database.query('vacuum analyze sessions');
  await report(stack, [
    started({
      organizationId: 'acme',
      userId: 'u9',
      sessionId: 'late',
      chainId: 'late',
      startedAt: new Date(Date.now() - 7_200_000).toISOString(),
    }),
    event('session.refreshed', { ...own, chainId: 'later' }),
  ]);
}

/** As a worker does when it is asked for its metrics. */
async function readMetrics({ database: { url } }: Stack): Promise<void> {
  const database = await openDatabase({ url, applicationName: 'session-management-worker' });
  try {
    await readBacklog(database);
  } finally {
    await database.close();
  }
}

async function letSupportIn(stack: Stack): Promise<void> {
  const grants = useGrants(stack, { worker: false });
  const grant = await grants.create('acme', { userId: 'staff' });
  await grants.signIn(grant, 'visit');
  await grants.change(grant, inMs(minutes(90)));
  await grants.check('acme');
  await grants.check('acme', { sessionId: 'visit' });
  await grants.check('acme', { userId: 'insider' });
  await report(stack, [
    event('session.ended', { organizationId: 'vendor', userId: 'staff', sessionId: 'sid-of-staff' }),
  ]);
  await grants.revoke(grant);
  await grants.until(grant, 'ended', 60_000);
  const globalAdmin = await tokens(stack.issuer).globalAdmin({ sub: 'insider' });
  await plantGrant(stack, 'acme', { userId: 'insider' });
  await call(stack, 'GET', '/v1/organizations/acme/users/u1/sessions', { token: globalAdmin });
  await call(stack, 'POST', '/v1/organizations/acme/users/u1/sessions/terminate', {
    token: globalAdmin,
    headers: { 'idempotency-key': randomUUID() },
  });
}

/** What ends all grants comes last. */
const methods = ['GET', 'PATCH', 'POST', 'PUT', 'DELETE'];

async function askEveryRoute(stack: Stack): Promise<Record<string, number>> {
  const acme = await plantOrganization(stack, 'acme');
  await untilVerified(stack, { organizationId: 'acme', id: acme.terminationId }, 60_000);
  for (const path of ['audit-events/head', `terminations/${acme.terminationId}/receipt`])
    await eventually(
      () => get(stack, 'acme', path).catch(() => undefined),
      (found) => found !== undefined,
    );
  const answers: Record<string, number> = {};
  for (const route of routeTable().toSorted((a, b) => methods.indexOf(a.method) - methods.indexOf(b.method))) {
    const token = await stack.issuer.token(properClaims(route));
    const answer = await call(stack, route.method, pathOf(route, acme), {
      token,
      body: bodyOf(route),
      headers: { prefer: 'wait=10' },
    });
    answers[route.operationId] = answer.status;
  }
  return answers;
}

/** Of these activities, those that have run, locally or not: their names stand in the histories of the stack's workflows. */
export async function ranOf(activities: readonly string[], { temporal, config }: Stack): Promise<string[]> {
  const ran = new Set<string>();
  for await (const { workflowId } of temporal.workflow.list({ query: `TaskQueue = '${config.temporal.taskQueue}'` })) {
    const text = historyToJSON(await temporal.workflow.getHandle(workflowId).fetchHistory());
    // what a local activity was is in the payload of a marker: base64 of JSON
    const payloads = [...text.matchAll(/"data":\s*"([A-Za-z0-9+/=]+)"/g)].map(([, data = '']) =>
      Buffer.from(data, 'base64').toString(),
    );
    for (const name of activities) if ([text, ...payloads].some((part) => part.includes(`"${name}"`))) ran.add(name);
  }
  return [...ran].toSorted();
}

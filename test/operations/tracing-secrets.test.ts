import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { terminate, untilCompleted } from '../harness/terminations.ts';
import { through, useProcesses } from './use-processes.ts';
import { foreignTrace, key, useTraces } from './use-traces.ts';

const processes = useProcesses({ VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
const traces = useTraces();
const org = 'discreet';
const ipAddress = '198.51.100.78';
const userAgent = 'Tell-Tale-Browser/8';
const reason = 'Grace left the company in silence';
const note = 'she wrote from a library';

it('over a whole story no exported span has a token, a reason, an address or a user agent', async () => {
  const environment = { ...traces.environment(), LOG_LEVEL: 'trace' };
  const [api] = await Promise.all([processes.api(environment), processes.worker(environment)]);
  const stack = through(processes, api);
  const secrets = new Set([ipAddress, userAgent, reason, note, key, processes.authModule.token]);
  const remember = (token: string) => {
    secrets.add(token).add(token.split('.').at(-1) ?? token);
    return token;
  };
  const admin = remember(await tokens(processes.issuer).orgAdmin(org));
  const ask = (method: string, path: string, token: string | null, body?: unknown) =>
    call(api, method, `/v1/organizations/${org}/${path}`, {
      token,
      body,
      headers: {
        'user-agent': userAgent,
        'x-forwarded-for': ipAddress,
        'x-request-id': note,
        'idempotency-key': `${note.replaceAll(' ', '-')}-${randomUUID()}`,
        baggage: `note=${encodeURIComponent(note)}`,
        tracestate: `vendor=${note.replaceAll(' ', '-')}`,
        traceparent: foreignTrace().traceparent,
      },
    });
  secrets.add(encodeURIComponent(note)).add(note.replaceAll(' ', '-'));

  const device = { organizationId: org, userId: 'grace', sessionId: 's1', chainId: 'c1', ipAddress, userAgent };
  processes.authModule.chains.add({ ...device, sessionStartedAt: new Date().toISOString() });
  await report(stack, [started(device)]);
  const heal = processes.authModule.inject({ kind: 'body', body: { error: note, token: note } }, { times: 3 });
  const { body: termination } = await terminate(stack, org, 'users/grace/sessions/terminate', { body: { reason } });
  await untilCompleted(stack, termination, 30_000);
  heal();
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const grant = await ask('POST', 'support-access-grants', admin, { userId: 'staff', expiresAt, reason });
  expect(grant.status, grant.text).toBe(201);
  expect(
    (await ask('POST', `support-access-grants/${String(grant.body['id'])}/revoke`, admin, { reason })).status,
  ).toBe(200);
  expect((await ask('GET', 'users/grace/sessions', remember(`${admin.slice(0, -4)}AAAA`))).status).toBe(401);
  expect((await ask('POST', 'sessions/terminate', admin, { reason, wrong: note })).status).toBe(422);
  expect((await ask('GET', `nothing/${encodeURIComponent(note)}?access_token=${admin}`, null)).status).toBe(404);
  await processes.authModule.stop();
  const last = await ask('POST', 'sessions/terminate', admin, { reason });
  expect(last.status, last.text).toBe(202);
  await traces.trace(
    await traceOf(String(last.body['id'])),
    'POST /v1/organizations/{org}/sessions/terminate',
    'RunActivity:endSessions',
  );

  const sent = traces.receiver.bodies;
  expect(sent.some((body) => body.includes(org) && body.includes(termination.id))).toBe(true);
  for (const body of sent) for (const secret of secrets) expect(body.includes(secret), secret).toBe(false);
  // nor does anything of it go into Temporal with the trace: test/operations/tracing.test.ts looks at a history
});

/** The trace in which a termination has run. */
async function traceOf(terminationId: string): Promise<string> {
  const span = await eventually(
    () =>
      Promise.resolve(
        traces.receiver.spans.find(
          ({ name, attributes }) =>
            name === 'RunActivity:endSessions' && attributes['termination.id'] === terminationId,
        ),
      ),
    Boolean,
  );
  return span?.traceId ?? '';
}

import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { terminate, untilCompleted } from '../harness/terminations.ts';
import { through, useProcesses } from './use-processes.ts';

const processes = useProcesses({ LOG_LEVEL: 'trace', VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
const org = 'logged';
const ipAddress = '198.51.100.77';
const userAgent = 'Tell-Tale-Browser/7';
const reason = 'Grace left the company in anger';
const note = 'she called from a pay phone';
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

it(
  'over a whole story no log line has a token, a reason, an address or a user agent; each has its request, organization or termination',
  { timeout: 120_000 },
  async () => {
    const [api, worker] = await Promise.all([processes.api(), processes.worker()]);
    const stack = through(processes, api);
    const secrets = new Set<string>([ipAddress, userAgent, reason, note, processes.authModule.token]);
    const remember = (token: string) => {
      secrets.add(token).add(token.split('.').at(-1) ?? token);
      return token;
    };
    const admin = remember(await tokens(processes.issuer).orgAdmin(org));
    const staff = remember(await tokens(processes.issuer).globalAdmin());
    const device = {
      organizationId: org,
      userId: 'grace',
      sessionId: 's1',
      chainId: 'c1',
      ipAddress,
      userAgent,
      client: 'laptop',
    };
    processes.authModule.chains.add({ ...device, sessionStartedAt: new Date().toISOString() });
    await report(stack, [started(device), { ...started(device), userId: 7, userAgent }], {
      sentAt: new Date().toISOString(),
    });

    // what goes well, what is refused, and what the Auth Module fails
    const heal = processes.authModule.inject(
      { kind: 'body', body: { error: note, token: remember(`leak.${note}.leak`) } },
      { times: 3 },
    );
    const { body: termination } = await terminate(stack, org, 'users/grace/sessions/terminate', { body: { reason } });
    await untilCompleted(stack, termination, 30_000);
    heal();
    const ask = (method: string, path: string, token: string | null, body?: unknown) =>
      call(api, method, `/v1/organizations/${org}/${path}`, {
        token,
        body,
        headers: { 'user-agent': userAgent, 'x-forwarded-for': ipAddress, 'idempotency-key': randomUUID() },
      });
    const grant = await ask('POST', 'support-access-grants', admin, { userId: 'staff', expiresAt: inAnHour(), reason });
    expect(grant.status, grant.text).toBe(201);
    expect((await ask('GET', `users/grace/sessions?status=all`, staff)).status).toBe(200);
    expect(
      (await ask('POST', `support-access-grants/${String(grant.body['id'])}/revoke`, admin, { reason })).status,
    ).toBe(200);
    expect((await ask('GET', 'users/grace/sessions', staff)).status).toBe(403);
    expect((await ask('GET', 'users/grace/sessions', remember(`${admin.slice(0, -4)}AAAA`))).status).toBe(401);
    expect((await ask('POST', 'sessions/terminate', admin, { reason, wrong: note })).status).toBe(422);
    expect((await ask('POST', 'sessions/terminate', admin, `{"reason": "${reason}", `)).status).toBe(400);
    await call(api, 'GET', `/v1/organizations/${org}/nothing?access_token=${admin}&note=${encodeURIComponent(note)}`, {
      token: null,
    });
    await processes.authModule.stop();
    await terminate(stack, org, 'sessions/terminate', { body: { reason } });
    await eventually(
      () => fetch(`${worker.url}/metrics`).then((page) => page.text()),
      (page) => /auth_module_calls_total\{[^}]*unreachable/.test(page),
    );
    await processes.authModule.restart();

    const lines = [...api.lines, ...worker.lines];
    expect(lines.length).toBeGreaterThan(15);
    for (const line of lines) for (const secret of secrets) expect(line).not.toContain(secret);
    const logged = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    for (const line of logged.filter(({ msg }) => msg === 'request'))
      expect(line).toMatchObject({ requestId: expect.any(String) as string, route: expect.any(String) as string });
    expect(logged.some((line) => line['organizationId'] === org)).toBe(true);
    expect(
      logged.some(
        (line) => line['terminationId'] === termination.id || line['workflowId'] === `termination:${termination.id}`,
      ),
    ).toBe(true);

    const page = await (await fetch(`${worker.url}/metrics`)).text();
    expect(page).toMatch(/session_management_auth_module_calls_total\{method="invalidate",outcome="confirmed"\} [1-9]/);
    expect(page).toMatch(/session_management_auth_module_calls_total\{method="\w+",outcome="bad-response"\} [1-9]/);
    expect(page).toMatch(/session_management_deliveries_total\{kind="termination",outcome="delivered"\} [1-9]/);
    expect(page).toMatch(/^temporal_worker_task_slots_available/m);
    const apiPage = await (await fetch(`${api.url}/metrics`)).text();
    expect(apiPage).toMatch(
      /http_request_duration_seconds_count\{method="POST",route="\/v1\/organizations\/\{\w+\}\/sessions\/terminate",status="422"\} 1/,
    );
    expect(apiPage).toMatch(/session_management_auth_module_clock_difference_seconds -?\d/);
    for (const text of [page, apiPage]) expect(text).not.toContain(org);
  },
);

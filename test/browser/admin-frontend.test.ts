import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TerminationView } from '../../src/rules/termination.ts';
import { portOf } from '../../src/listen.ts';
import { tokens } from '../harness/client.ts';
import { toolFor } from '../harness/optional-tools.ts';
import { useStack } from '../harness/stack.ts';
import { observer, signIn } from '../harness/terminations.ts';

const executablePath = toolFor('chromium');

/** A frontend of another origin: a page without anything of ours. */
async function servePage(): Promise<{ server: Server; origin: string }> {
  const server = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>admin</title>'),
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, origin: `http://127.0.0.1:${portOf(server)}` };
}

describe.skipIf(executablePath === undefined)('an admin frontend on an origin of its own, in a browser', () => {
  let [allowed, other]: { server: Server; origin: string }[] = [];
  let browser: Browser;
  const stack = useStack({
    environment: async () => {
      [allowed, other] = [await servePage(), await servePage()];
      return { CORS_ALLOWED_ORIGINS: allowed.origin };
    },
  });
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executablePath ?? '', args: ['--no-sandbox'] });
  });
  afterAll(async () => {
    await browser.close();
    for (const page of [allowed, other]) page?.server.close();
  });
  const openPage = async (frontend: typeof allowed): Promise<Page> => {
    const page = await browser.newPage();
    await page.goto(`${frontend?.origin}/`);
    return page;
  };

  it('lists sessions, ends them, reads where the operation is, and watches it to its end', async () => {
    await signIn(stack, { organizationId: 'web', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const page = await openPage(allowed);
    const seen = await page.evaluate(
      async ({ api, token }) => {
        const base = `${api}/v1/organizations/web`;
        const authorization = { Authorization: `Bearer ${token}` };
        const listed = await fetch(`${base}/users/grace/sessions`, { headers: authorization });
        const sessions = (await listed.json()) as { items: { id: string }[] };
        const ended = await fetch(`${base}/users/grace/sessions/terminate`, {
          method: 'POST',
          headers: {
            ...authorization,
            'Content-Type': 'application/json',
            'Idempotency-Key': 'from-a-page',
            Prefer: 'respond-async',
          },
          body: '{}',
        });
        const location = ended.headers.get('Location') ?? '';
        const stream = await fetch(`${api}${location}/events`, { headers: authorization });
        const reader = (stream.body ?? new ReadableStream<Uint8Array<ArrayBuffer>>()).getReader();
        const decoder = new TextDecoder();
        let events = '';
        while (!events.includes('"status":"completed"')) {
          const { value, done } = await reader.read();
          if (done) break;
          events += decoder.decode(value, { stream: true });
        }
        await reader.cancel();
        return {
          sessions: sessions.items.map(({ id }) => id),
          status: ended.status,
          location,
          applied: ended.headers.get('Preference-Applied'),
          requestId: ended.headers.get('X-Request-Id'),
          id: ((await ended.json()) as TerminationView).id,
          events,
        };
      },
      { api: stack.url, token: await observer(stack, 'web') },
    );
    expect(seen.sessions).toEqual(['s1']);
    expect([seen.status, seen.applied]).toEqual([202, 'respond-async']);
    expect(seen.location).toBe(`/v1/organizations/web/terminations/${seen.id}`);
    expect(seen.requestId).toMatch(/^[\w-]{36}$/);
    expect(seen.events).toContain('event: termination');
    expect(seen.events).toContain('"status":"completed"');
  });

  it('reads why it is refused', async () => {
    const page = await openPage(allowed);
    const refused = await page.evaluate(
      async ({ api }) => {
        const answer = await fetch(`${api}/v1/organizations/web/terminations`, {
          headers: { Authorization: 'Bearer nonsense' },
        });
        return [
          answer.status,
          answer.headers.get('WWW-Authenticate'),
          ((await answer.json()) as { code: string }).code,
        ];
      },
      { api: stack.url },
    );
    expect(refused).toEqual([401, 'Bearer error="invalid_token"', 'unauthenticated']);
  });

  it('on another origin can neither read nor end anything', async () => {
    await signIn(stack, { organizationId: 'web', userId: 'ada', sessionId: 's2' });
    const page = await openPage(other);
    const token = await tokens(stack.issuer).orgAdmin('web');
    const failures = await page.evaluate(
      async ({ api, sent }) => {
        const attempt = (path: string, init: RequestInit) =>
          fetch(`${api}${path}`, { ...init, headers: { Authorization: `Bearer ${sent}` } }).then(
            ({ status }) => String(status),
            ({ name }: Error) => name,
          );
        return [
          await attempt('/v1/organizations/web/users/ada/sessions', {}),
          await attempt('/v1/organizations/web/users/ada/sessions/terminate', { method: 'POST' }),
        ];
      },
      { api: stack.url, sent: token },
    );
    expect(failures).toEqual(['TypeError', 'TypeError']);
    expect(
      await stack.database.query(`select 1 from terminations where organization_id = 'web' and scope_id = 'ada'`),
    ).toEqual([]);
  });
});

import { request as httpRequest } from 'node:http';
import { describe, expect, test } from 'vitest';
import { type Endpoint, endpoints, nameOf, pathOf } from '../endpoints.ts';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { machine, orgAdmin } from '../people.ts';
import { event } from '../session-events.ts';
import type { Service } from '../service.ts';
import { EventResults, Termination } from '../shapes.ts';

const withAnId = endpoints.filter(({ template }) => /\{(session|termination|grant)\}/.test(template));
const ownBody: Record<string, unknown> = { 'change-grant': { expiresAt: inSeconds(3_600) } };

/** What every call has in common: ids, paths, methods, bodies. */
export function conventions(service: Service): void {
  describe('request ids', () => {
    test.concurrent('the one that comes in goes out, in the header and in the problem', async () => {
      const { send } = await newOrganization(service);
      const headers = { 'x-request-id': newId('request') };
      expect((await send('GET', '/terminations', { headers })).headers.get('x-request-id')).toBe(
        headers['x-request-id'],
      );
      const refused = await send('GET', '/terminations?limit=0', { headers });
      expect(JSON.parse(refused.text)).toMatchObject({ requestId: headers['x-request-id'] });
    });

    test.concurrent('each call without one gets its own', async () => {
      const { send } = await newOrganization(service);
      const ids = [await send('GET', '/terminations'), await send('GET', '/terminations')].map(({ headers }) =>
        headers.get('x-request-id'),
      );
      expect(new Set(ids).size).toBe(2);
    });
  });

  describe('an id that is not this organization’s', () => {
    test.concurrent.each(withAnId.map((endpoint) => [nameOf(endpoint), endpoint] as const))(
      '%s answers a foreign, an ill-formed and an unknown id with the same 404, byte for byte',
      async (_name, endpoint) => {
        const [organization, other] = [await newOrganization(service), await newOrganization(service)];
        const { sessionId: session } = await other.signIn('user');
        const { id: termination } = await other.terminateAll('somebody-else');
        const { id: grant } = await other.grant();
        const ask = ({ method }: Endpoint, ids: object) =>
          service.api.send(method, pathOf(endpoint, { org: organization.id, ...ids }), {
            as: organization.admin.token,
            headers: { 'x-request-id': 'the-same' },
            body: ownBody[endpoint.act],
          });
        const answers = [
          await ask(endpoint, { session, termination, grant }),
          await ask(endpoint, { session: 'x'.repeat(256), termination: 'ill-formed', grant: 'ill-formed' }),
          await ask(endpoint, {}),
        ];
        for (const answer of answers) answer.refused(404, 'not-found');
        expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
        const names = answers.map(({ headers }) => [...headers.keys()].join());
        expect(new Set(names).size).toBe(1);
      },
    );

    test.concurrent('a user of an ill-formed id is the same 404', async () => {
      const { send } = await newOrganization(service);
      const user = 'x'.repeat(256);
      (await send('GET', `/users/${user}/sessions`)).refused(404, 'not-found');
      (await send('POST', `/users/${user}/sessions/terminate`)).refused(404, 'not-found');
    });

    test.concurrent('a user whom only another organization knows has an empty list and nothing to end', async () => {
      const [organization, other] = [await newOrganization(service), await newOrganization(service)];
      const chain = await other.signIn('user');
      expect(await organization.sessions('user')).toEqual([]);
      expect(await organization.terminateAll('user')).toMatchObject({
        sessions: { total: 0, pending: 0 },
        chains: { total: 0, confirmed: 0, alreadyDead: 0, pending: 0 },
      });
      expect(await other.session('user', chain.sessionId)).toMatchObject({ status: 'active' });
      expect(service.authModule.isAlive(chain)).toBe(true);
    });
  });

  describe('paths and methods', () => {
    test.concurrent.each(['/', '/v1/nothing', '/v1/organizations/org/nothing', '/v2/organizations'])(
      '%s is not found',
      async (path) => {
        const { token } = await orgAdmin(service, 'org');
        (await service.api.send('GET', path, { as: token })).refused(404, 'not-found');
      },
    );

    test.concurrent('another method is 405, and Allow names those there are', async () => {
      const organization = await newOrganization(service);
      const paths = new Set(endpoints.map(({ template }) => template));
      for (const template of paths) {
        const here = endpoints.filter((endpoint) => endpoint.template === template);
        const as = await tokenFor(here[0]!, organization.admin.token);
        const other = ['PUT', 'PATCH', 'POST'].find((method) => !here.some((endpoint) => endpoint.method === method))!;
        const answer = await service.api.send(other, pathOf(here[0]!, { org: organization.id }), { as });
        answer.refused(405, 'method-not-allowed');
        const allowed = (answer.headers.get('allow') ?? '').split(/\s*,\s*/).filter((one) => !/HEAD|OPTIONS/.test(one));
        expect(allowed.toSorted(), template).toEqual(here.map(({ method }) => method).toSorted());
      }
    });
    test.concurrent('a path with dot segments is 400, and leads nowhere', async () => {
      const { path, admin, terminations } = await newOrganization(service);
      for (const dots of ['..', '%2e%2e', '.%2E']) {
        const answer = await sendRaw(service.api.url, admin.token, `${path}/users/${dots}/sessions/terminate`);
        expect(answer, dots).toMatchObject({ status: 400, type: expect.stringContaining('application/problem+json') });
      }
      expect(await terminations()).toEqual([]);
    });

    const tokenFor = ({ act }: Endpoint, admin: string) =>
      act === 'ingest'
        ? machine(service, 'sessions:ingest')
        : act === 'check'
          ? machine(service, 'support-access:check')
          : admin;
  });

  describe('bodies', () => {
    const terminate = '/users/user/sessions/terminate';

    test.concurrent('what is not JSON is 400 malformed-request', async () => {
      const { send } = await newOrganization(service);
      for (const body of ['{', '{"reason": nobody}', '\u0000'])
        (await send('POST', terminate, { body })).refused(400, 'malformed-request');
    });

    test.concurrent('JSON of another kind is refused', async () => {
      const { send } = await newOrganization(service);
      for (const body of ['[]', '"text"', '1', 'null'])
        expect((await send('POST', terminate, { body })).status, body).toBeOneOf([400, 422]);
    });

    test.concurrent('no body at all is a body without fields', async () => {
      const { send } = await newOrganization(service);
      expect((await send('POST', terminate)).as(200, Termination).reason).toBeNull();
      expect((await send('POST', terminate, { body: {} })).as(200, Termination).reason).toBeNull();
    });

    test.concurrent('a body that is not declared as JSON is 415', async () => {
      const { send } = await newOrganization(service);
      const answer = await send('POST', terminate, { body: '{}', headers: { 'content-type': 'text/plain' } });
      expect(answer.status).toBe(415);
      answer.refused(415, codeOf(answer.text));
    });

    test.concurrent('more than 64 KiB are 413', async () => {
      const { send } = await newOrganization(service);
      const answer = await send('POST', terminate, { body: { reason: 'x'.repeat(64 * 1_024) } });
      answer.refused(413, codeOf(answer.text));
      (await send('POST', terminate, { body: { reason: 'x'.repeat(60 * 1_024) } })).invalid('/reason');
    });

    test.concurrent('session events may have 4 MiB, and not more', async () => {
      const as = await machine(service, 'sessions:ingest');
      const post = (bytes: number) => {
        const one = event({ type: 'session.started', organizationId: newId('org'), userId: 'u', sessionId: 's' });
        const body = JSON.stringify({ events: [{ ...one, startedAt: inSeconds(-60) }] });
        return service.api.send('POST', '/v1/session-events', { as, body: body.padEnd(bytes) });
      };
      expect((await post(4 * 1_024 * 1_024)).as(200, EventResults).results).toMatchObject([{ outcome: 'accepted' }]);
      expect((await post(4 * 1_024 * 1_024 + 1)).status).toBe(413);
    });

    test.concurrent('a body of no stated length is 411', async () => {
      const { path, admin } = await newOrganization(service);
      const answer = await sendRaw(service.api.url, admin.token, `${path}${terminate}`, {
        'transfer-encoding': 'chunked',
      });
      expect(answer).toMatchObject({ status: 411, type: expect.stringContaining('application/problem+json') });
    });

    test.concurrent('an unknown field is 422, and pointed at', async () => {
      const { send, path, admin } = await newOrganization(service);
      (await send('POST', terminate, { body: { reasons: 'x' } })).invalid('/reasons');
      (await send('POST', '/sessions/terminate', { body: { force: true } })).invalid('/force');
      const grant = { userId: null, expiresAt: inSeconds(3_600), endless: true };
      (await send('POST', '/support-access-grants', { body: grant })).invalid('/endless');
      (await send('PUT', '/support-access', { body: { allowUntil: inSeconds(3_600), who: 'x' } })).invalid('/who');
      const body = { organizationId: path, userId: admin.userId, role: 'global_admin', token: 'x' };
      const as = await machine(service, 'support-access:check');
      (await service.api.send('POST', '/v1/support-access/check', { as, body })).invalid('/token');
    });
  });
}

const codeOf = (problem: string) => (JSON.parse(problem) as { code: string }).code;

/** A request that `fetch` would not send as it is. */
const sendRaw = (url: string, token: string, path: string, headers: Record<string, string> = {}) =>
  new Promise<{ status: number | undefined; type: string | undefined }>((done, fail) => {
    const { hostname, port } = new URL(url);
    const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
    const call = httpRequest({ hostname, port, path, method: 'POST', headers: all }, (response) => {
      response.resume();
      done({ status: response.statusCode, type: response.headers['content-type'] });
    });
    call.on('error', fail);
    call.end('{}');
  });

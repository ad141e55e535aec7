import { describe, expect, test } from 'vitest';
import { faults } from '../auth-module.ts';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { machine, orgAdmin } from '../people.ts';
import { event } from '../session-events.ts';
import type { Service } from '../service.ts';
import { Check, EventResults, Grant, Termination } from '../shapes.ts';

const isReplayed = ({ headers }: { headers: Headers }) => headers.get('idempotent-replayed') === 'true';

/** A POST that is sent again with its key is the same act. */
export function idempotency(service: Service): void {
  describe('Idempotency-Key', () => {
    test.concurrent('the same key and body replay the first answer', async () => {
      const { send, signIn, terminations } = await newOrganization(service);
      await signIn('user');
      const request = { body: { reason: 'lost phone' }, headers: { 'idempotency-key': newId('key') } };
      const first = await send('POST', '/users/user/sessions/terminate', request);
      const again = await send('POST', '/users/user/sessions/terminate', request);
      expect([first.status, again.status]).toEqual([200, 200]);
      expect(again.text).toBe(first.text);
      expect([isReplayed(first), isReplayed(again)]).toEqual([false, true]);
      expect(await terminations()).toHaveLength(1);
    });

    test.concurrent('a replay has the headers of the first answer as well', async () => {
      const { id, send } = await newOrganization(service);
      service.authModule.fail(id, faults.answers(500));
      const request = { headers: { 'idempotency-key': newId('key'), prefer: 'respond-async' } };
      const first = await send('POST', '/users/user/sessions/terminate', request);
      const again = await send('POST', '/users/user/sessions/terminate', request);
      service.authModule.fail(id, undefined);
      expect([first.status, again.status]).toEqual([202, 202]);
      for (const header of ['location', 'retry-after', 'content-type'])
        expect(again.headers.get(header), header).toBe(first.headers.get(header));
      expect(again.as(202, Termination).id).toBe(first.as(202, Termination).id);
    });

    test.concurrent('a grant is created once, and its 201 replayed', async () => {
      const { send } = await newOrganization(service);
      const body = { userId: null, expiresAt: inSeconds(3_600) };
      const request = { body, headers: { 'idempotency-key': newId('key') } };
      const first = await send('POST', '/support-access-grants', request);
      const again = await send('POST', '/support-access-grants', request);
      expect(again.as(201, Grant)).toEqual(first.as(201, Grant));
      expect(again.headers.get('location')).toBe(first.headers.get('location'));
      expect(isReplayed(again)).toBe(true);
    });

    test.concurrent('the same key with another body is 422', async () => {
      const { send } = await newOrganization(service);
      const headers = { 'idempotency-key': newId('key') };
      await send('POST', '/users/user/sessions/terminate', { headers, body: { reason: 'one' } });
      const answer = await send('POST', '/users/user/sessions/terminate', { headers, body: { reason: 'another' } });
      answer.refused(422, 'idempotency-key-reused');
    });

    test.concurrent('a key counts for its path and its caller alone', async () => {
      const { id, send } = await newOrganization(service);
      const headers = { 'idempotency-key': newId('key') };
      const other = await orgAdmin(service, id);
      const answers = [
        await send('POST', '/users/user/sessions/terminate', { headers }),
        await send('POST', '/users/another/sessions/terminate', { headers }),
        await send('POST', '/users/user/sessions/terminate', { headers, as: other.token }),
      ];
      expect(answers.map(isReplayed)).toEqual([false, false, false]);
      expect(new Set(answers.map((answer) => answer.as(200, Termination).id)).size).toBe(3);
    });

    test.concurrent('a refusal that a repeat cannot change is replayed too', async () => {
      const { send } = await newOrganization(service);
      const headers = { 'idempotency-key': newId('key') };
      const first = await send('POST', '/sessions/nothing/terminate', { headers });
      const again = await send('POST', '/sessions/nothing/terminate', { headers });
      first.refused(404, 'not-found');
      expect([again.status, again.text]).toEqual([404, first.text]);
      expect([isReplayed(first), isReplayed(again)]).toEqual([false, true]);
    });

    test.concurrent('who may no longer act gets no replay either', async () => {
      const { id, send, signIn } = await newOrganization(service);
      const other = await orgAdmin(service, id);
      await signIn(other.userId, { sessionId: other.sessionId });
      const request = { as: other.token, headers: { 'idempotency-key': newId('key') } };
      expect((await send('POST', '/users/user/sessions/terminate', request)).status).toBe(200);
      const roleless = await service.issuer.token({ ...other.claims, roles: ['member'] });
      const demoted = await send('POST', '/users/user/sessions/terminate', { ...request, as: roleless });
      demoted.refused(403, 'role-required');
      await send('POST', `/sessions/${other.sessionId}/terminate`);
      (await send('POST', '/users/user/sessions/terminate', request)).refused(401, 'session-ended');
    });

    test.concurrent('a 403 is not stored: the key is free once the caller may', async () => {
      const { id, send } = await newOrganization(service);
      const other = await orgAdmin(service, id);
      const roleless = await service.issuer.token({ ...other.claims, roles: ['member'] });
      const headers = { 'idempotency-key': newId('key') };
      (await send('POST', '/users/user/sessions/terminate', { headers, as: roleless })).refused(403, 'role-required');
      const answer = await send('POST', '/users/user/sessions/terminate', { headers, as: other.token });
      expect([answer.status, isReplayed(answer)]).toEqual([200, false]);
    });

    test.concurrent('a key that is none is 400', async () => {
      const { send } = await newOrganization(service);
      const headers = { 'idempotency-key': 'x'.repeat(5_000) };
      expect((await send('POST', '/users/user/sessions/terminate', { headers })).status).toBe(400);
    });

    test.concurrent('session events and checks ignore it', async () => {
      const { id } = await newOrganization(service);
      const headers = { 'idempotency-key': newId('key') };
      const ingest = await machine(service, 'sessions:ingest');
      const check = await machine(service, 'support-access:check');
      for (const sessionId of ['one', 'two']) {
        const started = { type: 'session.started' as const, organizationId: id, userId: 'user', sessionId };
        const events = [event({ ...started, startedAt: inSeconds(-60) })];
        const sent = await service.api.send('POST', '/v1/session-events', { as: ingest, headers, body: { events } });
        expect(sent.as(200, EventResults).results).toMatchObject([{ outcome: 'accepted' }]);
        const body = { organizationId: id, userId: sessionId, role: 'global_admin' };
        const asked = await service.api.send('POST', '/v1/support-access/check', { as: check, headers, body });
        expect(asked.as(200, Check).reason).toBe('no-grant');
        expect([isReplayed(sent), isReplayed(asked)]).toEqual([false, false]);
      }
    });
  });
}

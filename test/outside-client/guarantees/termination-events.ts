import { describe, expect, test } from 'vitest';
import { faults } from '../auth-module.ts';
import { readAnswer } from '../client.ts';
import { eventually } from '../eventually.ts';
import { newOrganization } from '../organization.ts';
import { globalAdmin } from '../people.ts';
import { accessTokenTtlSeconds, type Service } from '../service.ts';
import { Termination } from '../shapes.ts';

/** The events of a stream, each of which must be a whole termination. */
function readEvents(text: string): Termination[] {
  const blocks = text.split(/\r?\n\r?\n/).map((block) => block.split(/\r?\n/));
  const field = (lines: string[], name: string) =>
    lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).replace(/^ /, ''));
  const events = blocks.filter((lines) => field(lines, 'data').length > 0);
  for (const lines of events) expect(field(lines, 'event')).toEqual(['termination']);
  return events.map((lines) => Termination.parse(JSON.parse(field(lines, 'data').join('\n'))));
}

/** What came until it was closed, or broken off. */
async function readToItsEnd({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const piece of body!) text += decoder.decode(piece as Uint8Array, { stream: true });
  } catch (error) {
    if ((error as Error).message !== 'terminated') throw error;
  }
  return text;
}

/** A termination that is watched to its end: confirmed, asked about again, verified. */
export function terminationEvents(service: Service): void {
  describe('the events of a termination', () => {
    test.concurrent('come as they happen, and end when it is verified', async () => {
      const { id, signIn, send, termination } = await newOrganization(service);
      await signIn('user');
      service.authModule.fail(id, faults.answers(500));
      const started = await send('POST', '/users/user/sessions/terminate', { headers: { prefer: 'respond-async' } });
      const running = started.as(202, Termination);
      const stream = send('GET', `/terminations/${running.id}/events`);
      await eventually(
        () => termination(running.id),
        ({ lastErrorClass }) => lastErrorClass !== null,
      );
      service.authModule.fail(id, undefined);
      const answer = await stream;
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream\b/);
      const events = readEvents(answer.text);
      expect(new Set(events.map((event) => event.id))).toEqual(new Set([running.id]));
      expect(events[0]).toMatchObject({ status: 'running' });
      expect(events.at(-1)).toMatchObject({ status: 'completed', chains: { total: 1, confirmed: 1 } });
      expect(events.map(({ verifiedAt }) => verifiedAt !== null).indexOf(true)).toBe(events.length - 1);
      expect(await termination(running.id)).toEqual(events.at(-1));
    });

    test.concurrent('of one that is verified are that one event', async () => {
      const { terminateAll, termination, send } = await newOrganization(service);
      const { id } = await terminateAll('user');
      const verified = await eventually(
        () => termination(id),
        ({ verifiedAt }) => verifiedAt !== null,
      );
      const age = Date.parse(verified.verifiedAt!) - Date.parse(verified.completedAt!);
      expect(age).toBeGreaterThanOrEqual(accessTokenTtlSeconds * 1_000);
      expect(readEvents((await send('GET', `/terminations/${id}/events`)).text)).toEqual([verified]);
    });

    test.concurrent('end for a Global Admin when the grant does', async () => {
      const { id, path, grant, send, signIn } = await newOrganization(service);
      await signIn('user');
      const staff = await globalAdmin(service);
      const { id: grantId } = await grant({ userId: staff.userId });
      service.authModule.fail(id, faults.answers(500));
      const started = await send('POST', '/users/user/sessions/terminate', { headers: { prefer: 'respond-async' } });
      const url = `${service.api.url}${path}/terminations/${started.as(202, Termination).id}/events`;
      const response = await fetch(url, { headers: { authorization: `Bearer ${staff.token}` } });
      const rest = readToItsEnd(response);
      await send('POST', `/support-access-grants/${grantId}/revoke`);
      const revokedAt = Date.now();
      const answer = readAnswer(`GET ${url}`, response, await rest);
      expect(answer.status).toBe(200);
      expect(Date.now() - revokedAt).toBeLessThan(8_000);
      expect(readEvents(answer.text).every(({ verifiedAt }) => verifiedAt === null)).toBe(true);
      service.authModule.fail(id, undefined);
    });
  });

  describe('a completed termination', () => {
    test.concurrent('runs again when a chain comes back, until that is dead as well', async () => {
      const { signIn, terminateAll, termination, audit } = await newOrganization(service);
      const chain = await signIn('user');
      const { id, verifiedAt } = await terminateAll('user');
      expect(verifiedAt).toBeNull();
      service.authModule.open(chain);
      const verified = await eventually(
        () => termination(id),
        (now) => now.verifiedAt !== null,
      );
      expect(service.authModule.isAlive(chain)).toBe(false);
      expect(verified.status).toBe('completed');
      const subject = (await audit('action=termination.requested'))[0]!.subject;
      expect(await audit('action=termination.chain-resurfaced')).toMatchObject([{ actor: { kind: 'system' } }]);
      expect((await audit('action=termination.completed')).at(-1)!.subject).toEqual(subject);
    });
  });
}

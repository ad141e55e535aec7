import { compactVerify, createRemoteJWKSet } from 'jose';
import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { inSeconds, newOrganization } from '../organization.ts';
import { machine, orgAdmin } from '../people.ts';
import type { Service } from '../service.ts';
import { AuditEvent, AuditHead, page, Receipt } from '../shapes.ts';

const reason = 'lost, "stolen"\nor sold = gone';
const shifted = (instant: string, ms: number) => new Date(Date.parse(instant) + ms).toISOString();

/** Who decided what, and that nothing of it was changed. */
export function audit(service: Service): void {
  /** What was signed, by a key that the service shows. */
  const signedIn = async (jws: string): Promise<unknown> => {
    const keys = createRemoteJWKSet(new URL('/.well-known/audit-keys.json', service.api.url));
    return JSON.parse(new TextDecoder().decode((await compactVerify(jws, keys)).payload));
  };

  /** An organization in which some things were decided, by two people. */
  const busyOrganization = async () => {
    const organization = await newOrganization(service);
    const colleague = await orgAdmin(service, organization.id);
    await organization.signIn('user');
    await organization.terminateAll('user', { reason });
    await organization.send('POST', '/users/user/sessions/terminate', { as: colleague.token });
    const { id } = await organization.grant({ reason: 'a ticket' });
    const body = { expiresAt: inSeconds(7_200) };
    await organization.send('PATCH', `/support-access-grants/${id}`, { body });
    await organization.send('POST', `/support-access-grants/${id}/revoke`);
    return { ...organization, colleague, grantId: id };
  };

  describe('audit events', () => {
    test.concurrent('tell who ended what and why, and what became of it', async () => {
      const { admin, colleague, audit: read } = await busyOrganization();
      const requested = await read('action=termination.requested');
      expect(requested).toMatchObject([
        { actor: { kind: 'org-admin', id: colleague.userId, sessionId: colleague.sessionId }, reason: null },
        { actor: { kind: 'org-admin', id: admin.userId, sessionId: admin.sessionId }, reason },
      ]);
      const completed = await read('action=termination.completed');
      expect(completed).toMatchObject([{ actor: { kind: 'system' } }, { actor: { kind: 'system' } }]);
      const subjects = (events: AuditEvent[]) =>
        events.map(({ subject }) => `${subject.kind} ${subject.id}`).toSorted();
      expect(subjects(completed)).toEqual(subjects(requested));
    });

    test.concurrent('tell of each step of a grant', async () => {
      const { grantId, audit: read } = await busyOrganization();
      const steps = await read(`subjectId=${grantId}`);
      expect(steps.length).toBeGreaterThanOrEqual(3);
      expect(new Set(steps.map(({ subject }) => subject.id))).toEqual(new Set([grantId]));
      expect(new Set(steps.map(({ action }) => action)).size).toBe(steps.length);
      expect(steps.map((step) => step.reason)).toContain('a ticket');
    });

    test.concurrent('are sealed within moments into one chain, without a gap', async () => {
      const { audit: read } = await busyOrganization();
      const events = await eventually(
        () => read(),
        (list) => list.every(({ hash }) => hash !== null),
      );
      const byPrevious = new Map(events.map((event) => [event.previousHash, event]));
      expect(byPrevious.size).toBe(events.length);
      const hashes = new Set(events.map(({ hash }) => hash));
      const first = events.filter(({ previousHash }) => !hashes.has(previousHash));
      expect(first).toHaveLength(1);
      let length = 0;
      for (let next: AuditEvent | undefined = first[0]; next; next = byPrevious.get(next.hash)) length += 1;
      expect(length).toBe(events.length);
    });

    test.concurrent('are listed newest first, page by page', async () => {
      const { send, audit: read } = await busyOrganization();
      const whole = await read();
      expect(whole.map(({ at }) => at)).toEqual(
        whole
          .map(({ at }) => at)
          .toSorted()
          .toReversed(),
      );
      const paged: string[] = [];
      let query = 'limit=2';
      for (;;) {
        const { items, nextCursor } = (await send('GET', `/audit-events?${query}`)).as(200, page(AuditEvent));
        paged.push(...items.map(({ id }) => id));
        if (nextCursor === null) break;
        query = `limit=2&cursor=${encodeURIComponent(nextCursor)}`;
      }
      expect(paged.filter((id) => whole.some((event) => event.id === id))).toEqual(whole.map(({ id }) => id));
      expect(new Set(paged).size).toBe(paged.length);
    });

    test.concurrent('are found by action, actor, subject and time', async () => {
      const { colleague, audit: read } = await busyOrganization();
      const whole = await read();
      expect(await read('action=termination.joined')).toEqual([]);
      expect((await read(`actorId=${colleague.userId}`)).map(({ action }) => action)).toEqual([
        'termination.requested',
      ]);
      const wanted = whole.find(({ action }) => action === 'termination.requested')!;
      for (const event of await read(`subjectId=${wanted.subject.id}`))
        expect(event.subject.id).toBe(wanted.subject.id);
      const around = { from: shifted(wanted.at, -1), to: shifted(wanted.at, 1) };
      expect((await read(`from=${around.from}&to=${around.to}`)).map(({ id }) => id)).toContain(wanted.id);
      expect((await read(`from=${around.to}&limit=200`)).every(({ at }) => at >= around.to)).toBe(true);
      expect((await read(`to=${around.from}&limit=200`)).every(({ at }) => at <= around.from)).toBe(true);
    });

    test.concurrent('are 422 for a time that is none', async () => {
      const { send } = await newOrganization(service);
      for (const query of ['from=yesterday', 'to=2026-13-01T00:00:00Z'])
        (await send('GET', `/audit-events?${query}`)).invalid();
    });

    test.concurrent('go out whole as NDJSON', async () => {
      const { send, audit: read } = await busyOrganization();
      const answer = await send('GET', '/audit-events', { headers: { accept: 'application/x-ndjson' } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^application\/x-ndjson\b/);
      expect(answer.text.endsWith('\n')).toBe(true);
      const events = answer.text
        .trimEnd()
        .split('\n')
        .map((line) => AuditEvent.parse(JSON.parse(line)));
      const exported = new Set(events.map(({ id }) => id));
      expect(exported.size).toBe(events.length);
      const requested = await read('action=termination.requested');
      for (const { id } of requested) expect(exported).toContain(id);
      expect(events.map((event) => event.reason)).toContain(reason);
    });

    test.concurrent('go out whole as CSV, a row for each, whatever is in the reason', async () => {
      const { send, audit: read } = await busyOrganization();
      const answer = await send('GET', '/audit-events?action=termination.requested', {
        headers: { accept: 'text/csv' },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toMatch(/^text\/csv\b/);
      const [header, ...rows] = readCsv(answer.text);
      const requested = await read('action=termination.requested');
      expect(rows.map((row) => row[header!.indexOf('id')])).toEqual(requested.map(({ id }) => id));
      expect(rows.map((row) => row[header!.indexOf('reason')])).toEqual(['', reason]);
      expect(new Set(rows.map((row) => row.length))).toEqual(new Set([header!.length]));
    });

    test.concurrent('are no export by the page', async () => {
      const { send } = await newOrganization(service);
      for (const accept of ['application/x-ndjson', 'text/csv'])
        (await send('GET', '/audit-events?limit=10', { headers: { accept } })).invalid();
    });

    test.concurrent('have a signed head, which whoever keeps it can check', async () => {
      const { id, send, audit: read } = await busyOrganization();
      const answer = await eventually(
        () => send('GET', '/audit-events/head'),
        ({ status }) => status === 200,
      );
      const { jws, ...head } = answer.as(200, AuditHead);
      expect(head.organizationId).toBe(id);
      expect(await signedIn(jws)).toEqual(head);
      expect((await read()).map(({ hash }) => hash)).toContain(head.hash);
    });

    test.concurrent('are named by the receipt of a termination, which is there once it is verified', async () => {
      const organization = await newOrganization(service);
      await organization.signIn('user');
      const termination = await organization.terminateAll('user', { reason });
      const answer = await eventually(
        () => organization.send('GET', `/terminations/${termination.id}/receipt`),
        (each) => {
          if (each.status !== 200) each.refused(409, 'not-verified-yet');
          return each.status === 200;
        },
      );
      const { jws, ...receipt } = answer.as(200, Receipt);
      expect(await signedIn(jws)).toEqual(receipt);
      const { id, verifiedAt, sessions, chains, requestedBy } = await organization.termination(termination.id);
      expect(receipt).toMatchObject({ terminationId: id, verifiedAt, sessions, chains, requestedBy });
      const [completed] = await organization.audit('action=termination.completed');
      expect(receipt.audit.hash).toBe(completed?.hash);
    });

    test.concurrent('name the machine that decided', async () => {
      const { send, audit: read } = await newOrganization(service);
      const as = await machine(service, 'support-access:manage', { sub: 'organization-settings' });
      await send('PUT', '/support-access', { as, body: { allowUntil: inSeconds(3_600) } });
      const events = await read();
      expect(events.length).toBeGreaterThanOrEqual(1);
      expect(events.at(-1)!.actor).toEqual({
        kind: 'machine',
        id: 'organization-settings',
        sessionId: null,
        supportAccessGrantId: null,
      });
    });
  });
}

/** RFC 4180. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    if (row.length === 0 && quoted === undefined && plain === '' && end === '') break;
    row.push(quoted?.replaceAll('""', '"') ?? plain!);
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

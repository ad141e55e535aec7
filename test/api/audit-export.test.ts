import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { call, tokens } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { observer, terminate } from '../harness/terminations.ts';
import { openReader } from './open-reader.ts';

const stack = useStack({ worker: false });

describe('the export of the audit', () => {
  const ROWS = 20_000;
  let wholeBytes = 0;
  const plant = (organizationId: string, rows: number, reason: string) =>
    stack.database.query(
      `with o as (insert into organizations (id) values ($1) on conflict do nothing)
       insert into audit_events (organization_id, at, action, actor, subject_kind, subject_id, reason)
       select $1, '2026-03-01T00:00:00Z'::timestamptz + n * interval '1 minute', case when n % 4 = 0 then 'termination.completed' else 'termination.requested' end,
         jsonb_build_object('kind', 'org-admin', 'id', 'admin-' || n % 3, 'sessionId', null, 'supportAccessGrantId', null), 'user', 'user-' || n % 5, $3 from generate_series(1, $2::int) n`,
      [organizationId, rows, reason],
    );
  const exportOf = async (organizationId: string, accept: string, query = '', token?: string) =>
    openReader(
      stack,
      `/v1/organizations/${organizationId}/audit-events${query}`,
      token ?? (await observer(stack, organizationId)),
      {
        accept,
      },
    );

  it('is whole, newest first, whatever its size; its first part comes long before its last', async () => {
    await stack.database.query('insert into organizations (id) values ($1) on conflict do nothing', ['large']);
    await plant('large', ROWS, 'x'.repeat(400));
    const startedAt = performance.now();
    const ndjson = await exportOf('large', 'application/x-ndjson');
    const firstAt = performance.now() - startedAt;
    expect(await ndjson.closed).toBe('whole');
    const wholeAt = performance.now() - startedAt;
    expect(firstAt).toBeLessThan(wholeAt / 2);
    expect([ndjson.headers['content-type'], ndjson.headers['content-disposition']]).toEqual([
      'application/x-ndjson',
      'attachment; filename="audit-events.ndjson"',
    ]);
    wholeBytes = ndjson.text.length;
    const ids = ndjson.text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { id: string }).id);
    expect(ids).toHaveLength(ROWS);
    expect(new Set(ids).size).toBe(ROWS);
    expect(ids).toEqual(ids.toSorted().toReversed());
  });

  it('is made no faster than it is read, and breaks off visibly when the reader’s right ends', async () => {
    await report(stack, [started({ organizationId: 'large', userId: 'boss', sessionId: 'auditor' })]);
    const token = await tokens(stack.issuer).orgAdmin('large', { sub: 'boss', sid: 'auditor' });
    const sent = request(`${stack.url}/v1/organizations/large/audit-events`, {
      headers: { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' },
    });
    sent.on('error', () => undefined).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    // nothing is read for longer than a right may go unasked: what was made meanwhile is what the sockets hold, and no more
    await terminate(stack, 'large', 'sessions/auditor/terminate', { token: await observer(stack, 'large') });
    await sleep(6_500);
    let bytes = 0;
    response.on('data', (part: Buffer) => (bytes += part.length));
    await new Promise((closed) => response.once('close', closed));
    expect(response.complete).toBe(false);
    expect(bytes).toBeLessThan(wholeBytes * 0.9);
  });

  it('is filtered as the list is, by action, actor, subject and time', async () => {
    await plant('filtered', 60, 'plain');
    const counts: [query: string, rows: number][] = [
      ['', 60],
      ['?action=termination.completed', 15],
      ['?actorId=admin-1', 20],
      ['?subjectId=user-2', 12],
      ['?actorId=admin-1&subjectId=user-2', 4],
      ['?from=2026-03-01T00:10:00Z&to=2026-03-01T00:20:00Z', 10],
      ['?from=2026-03-01T01:10:00%2B01:00&to=2026-03-01T01:20:00%2B01:00&action=termination.completed', 2],
      ['?actorId=nobody', 0],
    ];
    for (const [query, rows] of counts) {
      const file = await exportOf('filtered', 'application/x-ndjson', query);
      await file.closed;
      expect(file.text.split('\n').length - 1, query).toBe(rows);
      const list = await call<{ items: unknown[] }>(
        stack,
        'GET',
        `/v1/organizations/filtered/audit-events${query}${query === '' ? '?' : '&'}limit=200`,
        { token: await observer(stack, 'filtered') },
      );
      expect(list.body.items, query).toHaveLength(rows);
      expect(
        file.text
          .trimEnd()
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as unknown),
      ).toEqual(list.body.items);
    }
    for (const query of [
      '?action=unheard.of',
      '?from=yesterday',
      '?to=2026-03-01',
      '?actorId=',
      '?from=2026-03-01T00:00:00',
    ]) {
      const answer = await call<{ errors: { pointer: string }[] }>(
        stack,
        'GET',
        `/v1/organizations/filtered/audit-events${query}`,
        { token: await observer(stack, 'filtered') },
      );
      expect([answer.status, answer.body.errors[0]?.pointer], query).toEqual([422, query.slice(0, query.indexOf('='))]);
    }
    for (const query of ['?limit=5', '?cursor=abc'])
      expect((await exportOf('filtered', 'text/csv', query)).status).toBe(422);
  });

  it('as CSV runs no formula on the auditor’s machine, and keeps every cell in its place', async () => {
    const reasons = [
      "=cmd|' /C calc'!A0",
      '+1+1',
      '-2+3',
      '@SUM(A1)',
      '\t=1',
      '\r=1',
      'a "quoted", cell',
      'two\nlines',
      '雪 ☃',
      '',
    ];
    await report(
      stack,
      reasons.map((_, n) => started({ organizationId: 'formulas', userId: '=HYPERLINK("x")', sessionId: `-s${n}` })),
    );
    for (const [n, reason] of reasons.entries())
      expect(
        (
          await terminate(stack, 'formulas', `sessions/-s${n}/terminate`, {
            body: { reason },
            token: await observer(stack, 'formulas'),
          })
        ).status,
      ).toBe(202);
    const file = await exportOf('formulas', 'text/csv', '?action=termination.requested');
    await file.closed;
    expect(file.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    const rows = parseCsv(file.text);
    const [names = [], ...cells] = rows;
    expect(cells).toHaveLength(reasons.length);
    for (const row of rows) {
      expect(row).toHaveLength(names.length);
      for (const cell of row) expect(cell).not.toMatch(/^[=+\-@\t\r\n]/);
    }
    const shown = cells.map((row) => row[names.indexOf('reason')]).toReversed();
    expect(shown).toEqual(reasons.map((reason) => (/^[=+\-@\t\r\n]/.test(reason) ? `'${reason}` : reason)));
  });

  it('is chosen by `Accept`; JSON where that names nothing we have', async () => {
    const types: [accept: string, type: string][] = [
      ['*/*', 'application/json'],
      ['text/html', 'application/json'],
      ['text/csv', 'text/csv'],
      ['text/*', 'text/csv'],
      ['application/x-ndjson;q=0.5, text/csv', 'text/csv'],
      ['application/json;q=0.1, application/x-ndjson', 'application/x-ndjson'],
      ['text/csv;q=0, application/json', 'application/json'],
    ];
    for (const [accept, type] of types) {
      const file = await exportOf('filtered', accept);
      await file.closed;
      expect([file.headers['content-type']?.split(';', 1)[0], file.headers['vary']], accept).toEqual([type, 'Accept']);
    }
  });
});

/** RFC 4180, read by the letter. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain = '', end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === '\r\n') rows.push([]);
  }
  return rows.slice(0, -1);
}

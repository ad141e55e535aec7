import { Client, Connection } from '@temporalio/client';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { plantGrant } from '../api/planted-organization.ts';
import { call, tokens } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { signIn, terminate } from '../harness/terminations.ts';
import { type Database, openDatabase } from '../../src/database.ts';
import { createDeliver, type Decision } from '../../src/dispatcher/deliver.ts';
import { createReportFailure } from '../../src/dispatcher/report-failures.ts';

// neither the API nor a worker delivers: what is delivered, the test has delivered
const stack = useStack({ worker: false, environment: { TEMPORAL_ADDRESS: '127.0.0.1:9' } });
const connection = Connection.lazy({ address: inject('temporalAddress') });
let database: Database;
beforeAll(
  async () => void (database = await openDatabase({ url: stack.database.url, applicationName: 'deliver-test' })),
);
afterAll(async () => {
  await database.close();
  await connection.close();
});

/** A delivery that the workflow engine takes, and whose answer arrives when it is let. */
function deliverHeld(decision: Decision) {
  const taken = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const client = new Client({
    connection,
    interceptors: {
      workflow: [
        {
          async signalWithStart(input, next) {
            const answered = await next(input);
            taken.resolve();
            await answer.promise;
            return answered;
          },
        },
      ],
    },
  });
  const { taskQueue } = stack.config.temporal;
  const reportFailure = createReportFailure(pino({ level: 'silent' }));
  const setup = { mend: () => Promise.resolve(true) };
  const deliver = createDeliver({ database, client, taskQueue, setup, reportFailure, timeoutMs: 30_000 });
  return { delivered: deliver(decision), taken: taken.promise, letAnswer: answer.resolve };
}

const kinds = {
  async grant(organizationId: string) {
    const id = await plantGrant(stack, organizationId);
    await stack.database.query(
      'update support_access_grants set delivered_revision = 0, dispatch_after = current_instant(), dispatch_count = 3 where id = $1',
      [id],
    );
    const token = await tokens(stack.issuer).orgAdmin(organizationId);
    const path = `/v1/organizations/${organizationId}/support-access-grants/${id}/revoke`;
    const decideAgain = () => call(stack, 'POST', path, { token, body: {} });
    return { table: 'support_access_grants', id, scope: 'grant:*', decideAgain };
  },
  async termination(organizationId: string) {
    await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const decide = () => terminate(stack, organizationId, 'users/grace/sessions/terminate');
    const { id } = (await decide()).body;
    return { table: 'terminations', id, scope: 'user:grace', decideAgain: decide };
  },
};

it.each(['grant', 'termination'] as const)(
  'a decision about a %s that comes while an earlier one is on its way is neither taken for delivered nor put off',
  async (kind) => {
    const organizationId = `held-${kind}`;
    const { table, id, scope, decideAgain } = await kinds[kind](organizationId);
    const { delivered, taken, letAnswer } = deliverHeld({ kind, id, organizationId, revision: 1, scope });
    await taken;
    const { status } = await decideAgain();
    expect([200, 202]).toContain(status);
    letAnswer();
    expect(await delivered).toBe(true);
    const [row] = await stack.database.query<{
      revision: number;
      delivered_revision: number;
      due_in_ms: number;
      dispatch_count: number;
    }>(
      `select revision, delivered_revision, dispatch_count, extract(epoch from dispatch_after - current_instant())::float8 * 1000 as due_in_ms from ${table} where id = $1`,
      [id],
    );
    expect(row).toMatchObject({ revision: 2, delivered_revision: 1, dispatch_count: 0 });
    // the request itself was to deliver within a second
    expect(row?.due_in_ms).toBeLessThan(1_500);
  },
);

it('and where nothing came in between, it is delivered, and asked after in a minute', async () => {
  const organizationId = 'undisturbed';
  const { id, scope, decideAgain } = await kinds.termination(organizationId);
  await decideAgain();
  const { delivered, taken, letAnswer } = deliverHeld({ kind: 'termination', id, organizationId, revision: 2, scope });
  await taken;
  letAnswer();
  expect(await delivered).toBe(true);
  const [row] = await stack.database.query<{ delivered: boolean; patient: boolean }>(
    `select delivered_revision = revision as delivered, dispatch_after > current_instant() + interval '50 seconds' as patient from terminations where id = $1`,
    [id],
  );
  expect(row).toEqual({ delivered: true, patient: true });
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { keyword } from '../../src/dispatcher/search-attributes.ts';
import { terminationWorkflowId } from '../../src/workflows/messages.ts';
import { eventually } from '../harness/client.ts';
import { useStack } from '../harness/stack.ts';
import { historyOf, look, signIn, terminate } from '../harness/terminations.ts';

const stack = useStack();

it('an operator sees in the Temporal UI whose termination it is, of what, how far it is and why it waits', async () => {
  const own = { organizationId: 'watched', userId: 'eve' };
  await signIn(stack, { ...own, sessionId: 's1', chainIds: ['w1'] }, { ...own, sessionId: 's2', chainIds: ['w2'] });
  stack.authModule.inject({ kind: 'poison', ids: ['w1'] }, { endpoint: 'invalidate' });
  const { body } = await terminate(stack, 'watched', 'users/eve/sessions/terminate');
  await eventually(
    () => look(stack, 'watched', body.id),
    ({ lastErrorClass, chains }) => lastErrorClass !== null && chains.confirmed === 1,
  );
  const workflow = stack.temporal.workflow.getHandle(terminationWorkflowId(body.id));
  const attributes = async () => (await workflow.describe()).searchAttributes;
  expect(await eventually(attributes, ({ LastErrorClass }) => LastErrorClass !== undefined)).toMatchObject({
    OrganizationId: ['watched'],
    TerminationScope: ['user:eve'],
    Phase: ['waiting'],
    LastErrorClass: ['rejected'],
  });
  const details = async () =>
    (await workflow.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
  expect(await eventually(details, (text) => text.includes('next look'))).toMatch(
    /\*\*waiting\*\*: 0 sessions and 1 chains pending, last error `rejected` \(\d+ in a row\); next look in \d+ s/,
  );
  expect(await workflow.query('state')).toMatchObject({ pendingChains: 1, lastErrorClass: 'rejected' });
  expect((await historyOf(stack, body.id)).text).toContain('next attempt, after rejected');
});

it('a user or organization with the longest id is filed too, in what a column of Temporal can hold, apart from others that begin alike', async () => {
  const [organizationId, alike] = ['o'.repeat(255), 'u'.repeat(254)];
  const terminations = [];
  for (const userId of [`${alike}1`, `${alike}2`]) {
    await signIn(stack, { organizationId, userId, sessionId: `s-${userId.slice(-1)}`, chainIds: [userId.slice(-1)] });
    terminations.push((await terminate(stack, organizationId, `users/${userId}/sessions/terminate`)).body);
  }
  const filed = await Promise.all(
    terminations.map(async ({ id }) => {
      const handle = stack.temporal.workflow.getHandle(terminationWorkflowId(id));
      const { searchAttributes } = await eventually(
        () => handle.describe().catch(() => undefined),
        (found) => found !== undefined,
      ).then((found) => found ?? expect.unreachable());
      return [searchAttributes['TerminationScope'], searchAttributes['OrganizationId']].flat().map(String);
    }),
  );
  for (const value of filed.flat()) expect(Array.from(value).length).toBeLessThanOrEqual(255);
  expect(new Set(filed.map(([scope]) => scope)).size).toBe(2);
  for (const [scope = '', organization] of filed) {
    expect(scope.startsWith(`user:${'u'.repeat(200)}`)).toBe(true);
    expect(organization).toBe(organizationId);
  }
  // as the runbook says that operators find it
  const found = async () => {
    const ids: string[] = [];
    const query = `TerminationScope STARTS_WITH 'user:${'u'.repeat(200)}'`;
    for await (const { workflowId } of stack.temporal.workflow.list({ query })) ids.push(workflowId);
    return ids;
  };
  const wanted = terminations.map(({ id }) => terminationWorkflowId(id));
  await eventually(found, (ids) => wanted.every((id) => ids.includes(id)));
});

it('every value is filed in at most 255 characters, as it is where that is possible, and no two under one', () => {
  const text = fc.string({ unit: 'binary', maxLength: 400, size: 'max' });
  fc.assert(
    fc.property(text, text, (one, other) => {
      for (const value of [one, other]) {
        expect(Array.from(keyword(value)).length).toBeLessThanOrEqual(255);
        if (Array.from(value).length <= 255) expect(keyword(value)).toBe(value);
      }
      expect(keyword(one) === keyword(other)).toBe(one === other);
    }),
  );
});

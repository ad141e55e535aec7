import { expect, it } from 'vitest';
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

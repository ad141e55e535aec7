import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';
import { terminate } from '../harness/terminations.ts';

const stack = useStack();

it('a late start of a session that an earlier fence covers and the running termination keeps is swept by another', async () => {
  const organizationId = 'kept';
  const path = 'users/grace/sessions/terminate';
  const { body: earlier } = await terminate(stack, organizationId, path, { prefer: 'wait=20' });
  const mend = stack.authModule.inject(
    { kind: 'status', status: 503, retryAfter: '1' },
    { when: (each) => each.organizationId === organizationId },
  );
  await terminate(stack, organizationId, path, { body: { exceptSessionIds: ['kept'] } });
  const late = { organizationId, userId: 'grace', sessionId: 'kept', chainId: 'kept' };
  stack.authModule.chains.add({ ...late, sessionStartedAt: earlier.cutoff });
  // one that no event tells of: only a search that does not keep its session finds it
  stack.authModule.chains.add({ ...late, chainId: 'untold', sessionStartedAt: earlier.cutoff });
  expect(await report(stack, [started({ ...late, startedAt: earlier.cutoff })])).toMatchObject([
    { outcome: 'rejected', reason: 'fenced' },
  ]);
  mend();
  await eventually(
    () => Promise.resolve(stack.authModule.chains.alive(organizationId)),
    (alive) => alive.length === 0,
    10_000,
  );
});

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { describe, expect, inject, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { withoutRecorder } from '../harness/recorder.ts';
import { useStack } from '../harness/stack.ts';
import { historyOf, hurry, signIn, terminate, untilVerified } from '../harness/terminations.ts';
import { terminationWorkflowId } from '../../src/workflows/messages.ts';

// A recorded history is of what may run in production when a new version is deployed: it is never recorded again, but
// beside a new one. `RECORD_HISTORIES=1 npm test -- test/workflows/histories` records what has no file yet.
const stack = useStack({ environment: { VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '2' } });

const begin = async (organizationId: string, prefer = 'wait=10') => {
  await signIn(stack, { organizationId, userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
  return (await terminate(stack, organizationId, 'sessions/s1/terminate', { prefer })).body;
};

const shapes = {
  'termination-quick': () => begin('quick'),
  'termination-patient': async () => {
    const mend = stack.authModule.inject(
      { kind: 'status', status: 403 },
      { when: ({ organizationId }) => organizationId === 'patient' },
    );
    const termination = await begin('patient', 'wait=1');
    await eventually(
      () => historyOf(stack, termination.id),
      ({ history }) => history.events?.some((event) => event.timerStartedEventAttributes != null) === true,
    );
    mend();
    await hurry(stack, termination.id);
    return termination;
  },
  'termination-resurfaced': async () => {
    const termination = await begin('resurfaced');
    stack.authModule.chains.resurrect('resurfaced', 'c1');
    return termination;
  },
};

const fileOf = (shape: string) => fileURLToPath(new URL(`../histories/${shape}.json`, import.meta.url));
const replay = (text: string) =>
  Worker.runReplayHistory(
    { workflowBundle: { codePath: inject('workflowBundlePath') }, replayName: 'histories' },
    historyFromJSON(JSON.parse(text)),
    terminationWorkflowId('recorded'),
  );

describe.each(Object.entries(shapes))('%s', (shape, run) => {
  it('is replayed as it runs now', async () => {
    const termination = await run();
    await untilVerified(stack, termination);
    const handle = stack.temporal.workflow.getHandle(terminationWorkflowId(termination.id));
    await handle.result();
    const text = historyToJSON((await historyOf(stack, termination.id)).history);
    await expect(replay(text)).resolves.toBeUndefined();
    if (process.env['RECORD_HISTORIES'] && !existsSync(fileOf(shape)))
      writeFileSync(fileOf(shape), `${JSON.stringify(JSON.parse(withoutRecorder(text)), null, 1)}\n`);
  });

  it('that was recorded with an earlier version goes on with this one', async () => {
    await expect(replay(readFileSync(fileOf(shape), 'utf8'))).resolves.toBeUndefined();
  });
});

it('a history that this version would not have made is told apart', async () => {
  const text = readFileSync(fileOf('termination-patient'), 'utf8');
  await expect(replay(text.replaceAll('"endSessions"', '"endSessionsOtherwise"'))).rejects.toThrow(
    DeterminismViolationError,
  );
  const other = JSON.parse(text) as { events: { timerStartedEventAttributes?: object }[] };
  other.events = other.events.filter((event) => event.timerStartedEventAttributes === undefined);
  await expect(replay(JSON.stringify(other))).rejects.toThrow();
});

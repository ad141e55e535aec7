import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { expect, inject, it } from 'vitest';
// the runtime is installed once a process: another file may have to share it
// oxlint-disable-next-line import/no-unassigned-import
import '../harness/stack.ts';

const directory = fileURLToPath(new URL('histories/', import.meta.url));
const shapes = readdirSync(directory).filter((name) => name.endsWith('.json'));
const read = (name: string) => readFileSync(`${directory}${name}`, 'utf8');

it('there is a recorded history of every shape', () => {
  const names = ['cancelled', 'expiry', 'open', 'refused', 'resurfaced', 'revoked', 'signalled', 'stalled'];
  expect(shapes.map((name) => name.replace('.json', '')).toSorted()).toEqual(names);
});

it.each(shapes)('a grant that began under earlier code goes on under this one: %s', async (name) => {
  const history: unknown = JSON.parse(read(name));
  await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundlePath') } }, history);
});

it('in the stalled one the brief look and the first patient one fail, and the next patient one is answered', () => {
  const looks = looksIn('stalled.json');
  const failed = { outcome: 'unanswered', errorClass: expect.any(String) };
  const answered = { errorClass: null, attempt: 0 };
  expect(looks.slice(0, 3)).toMatchObject([
    { by: 'local activity', attempt: 1, ...failed },
    { by: 'activity', attempt: 2, ...failed },
    { by: 'activity', outcome: 'cleared', ...answered },
  ]);
  expect(looks.at(-1)).toMatchObject({ outcome: 'settled', ...answered });
});

it.each(shapes)('no machine and no process is named in a history: %s', (name) => {
  expect(read(name)).not.toMatch(/\b\d+@/);
});

it.each(shapes)('no name, reason or other free text is in a history: %s', (name) => {
  const payloads = [...read(name).matchAll(/"data": ?"([^"]+)"/g)].map(([, data]) =>
    Buffer.from(data ?? '', 'base64').toString(),
  );
  expect(payloads.length).toBeGreaterThan(0);
  for (const word of ['confidential', 'staff', 'admin']) expect(payloads.join('\n')).not.toContain(word);
});

interface Result {
  result: { payloads: { data?: string }[] };
}
interface RecordedEvent {
  activityTaskCompletedEventAttributes?: Result;
  markerRecordedEventAttributes?: { details: Result };
}

/** What the looks at what is left answered, in order. Of all results only theirs have an outcome. */
function looksIn(name: string): object[] {
  const { events } = JSON.parse(read(name)) as { events: RecordedEvent[] };
  const looks = events.flatMap((event) => [
    ...resultsOf('activity', event.activityTaskCompletedEventAttributes),
    ...resultsOf('local activity', event.markerRecordedEventAttributes?.details),
  ]);
  return looks.filter((look) => 'outcome' in look);
}

const resultsOf = (by: string, told?: Result): object[] =>
  (told?.result.payloads ?? []).map(({ data = '' }) => ({
    by,
    ...(JSON.parse(Buffer.from(data, 'base64').toString()) as object),
  }));

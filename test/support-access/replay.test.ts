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

it.each(shapes)('no name, reason or other free text is in a history: %s', (name) => {
  const payloads = [...read(name).matchAll(/"data": ?"([^"]+)"/g)].map(([, data]) =>
    Buffer.from(data ?? '', 'base64').toString(),
  );
  expect(payloads.length).toBeGreaterThan(0);
  for (const word of ['confidential', 'staff', 'admin']) expect(payloads.join('\n')).not.toContain(word);
});

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { afterAll, expect, it } from 'vitest';
// oxlint-disable-next-line import/no-unassigned-import -- installs the runtime of this process, which can be done once
import '../harness/stack.ts';

// inside the checkout, so that its packages are found
const root = fileURLToPath(new URL('../..', import.meta.url));
const directory = join(root, '.data', `upgrade-example-${process.pid}`);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const guide = readFileSync(join(root, 'docs/upgrades.md'), 'utf8');
const histories = join(root, 'test/histories');

/** The workflows with one line of the guide's example put in. */
async function changed(name: string): Promise<string> {
  const line = new RegExp(`^(.*announceCompletion.*?)\\s+// ${name}$`, 'm').exec(guide)?.[1];
  if (line === undefined) throw new Error(`the guide has no line that is ${name}`);
  const copy = join(directory, name);
  mkdirSync(copy, { recursive: true });
  for (const room of ['workflows', 'rules']) cpSync(join(root, 'src', room), join(copy, room), { recursive: true });
  const file = join(copy, 'workflows/terminate-sessions.ts');
  const place = 'const verifyDelaysMs = await untilCompleted();';
  const source = readFileSync(file, 'utf8');
  expect(source).toContain(place);
  const imported = `import { patched, proxyActivities as proxy } from '@temporalio/workflow';\n`;
  const activity = `\nconst { announceCompletion } = proxy<{ announceCompletion(input: object): Promise<void> }>({ startToCloseTimeout: '1 minute' });\n`;
  writeFileSync(file, imported + source.replace(place, `${place}\n${line}`) + activity);
  return (
    await bundleWorkflowCode({ workflowsPath: join(copy, 'workflows/index.ts'), logger: new DefaultLogger('ERROR') })
  ).code;
}

const replayAll = async (code: string): Promise<number> => {
  const files = readdirSync(histories).filter((file) => file.startsWith('termination-'));
  for (const file of files) {
    const history = historyFromJSON(JSON.parse(readFileSync(join(histories, file), 'utf8')) as object);
    await Worker.runReplayHistory(
      { workflowBundle: { code }, replayName: `upgrade-${file}` },
      history,
      'termination:recorded',
    );
  }
  return files.length;
};

it("the guide's wrong change breaks the runs of before, and its right one does not", { timeout: 120_000 }, async () => {
  await expect(replayAll(await changed('wrong'))).rejects.toThrow(/Nondeterminism|[Dd]eterminism/);
  expect(await replayAll(await changed('right'))).toBeGreaterThanOrEqual(3);
});

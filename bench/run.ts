/** `npm run bench [-- list events …]`: measures, prints a table, writes JSON. */
import { checkSupportAccess } from './measures/check-support-access.ts';
import { clickToConfirmed } from './measures/click-to-confirmed.ts';
import { decisionAlone } from './measures/decision.ts';
import { endAll } from './measures/end-all.ts';
import { grantsEnding } from './measures/grants-ending.ts';
import { listSessions } from './measures/list-sessions.ts';
import { sessionEvents } from './measures/session-events.ts';
import { type Figure, publish } from './report.ts';
import { type BenchStack, raise } from './stack.ts';

// in this order: each termination leaves a verification behind that runs a minute later, beside what comes next; the bursts
// leave thousands
const measures: Record<string, (stack: BenchStack) => Promise<Figure[]>> = {
  events: sessionEvents,
  list: listSessions,
  check: checkSupportAccess,
  click: clickToConfirmed,
  'end-all': endAll,
  grants: grantsEnding,
  decision: decisionAlone,
};

const say = (line: string) => void process.stdout.write(`${line}\n`);
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(measures, name));
if (unknown.length > 0) {
  process.stderr.write(`There is no measure ${unknown.join(', ')}. There are: ${Object.keys(measures).join(', ')}.\n`);
  process.exit(1);
}
const stack = await raise(say);
const figures: Figure[] = [];
// what it has raised ends with it
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void stack.stop().finally(() => process.exit(130)));
try {
  for (const [name, measure] of Object.entries(measures)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    say(`measuring: ${name}`);
    figures.push(...(await measure(stack)));
  }
} finally {
  await stack.stop();
}
publish(figures);

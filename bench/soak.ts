/** `npm run soak -- --minutes N [--rate R]`: steady traffic while every process is killed in turn; then everything is counted. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createLoad } from './soak/load.ts';
import { judge, judgeMemory, untilQuiet } from './soak/verdict.ts';
import type { Part } from './soak/parts.ts';
import { raise } from './soak/world.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '5' }, rate: { type: 'string', default: '5' } },
});
const [minutes, rate] = [Number(values.minutes), Number(values.rate)];
if (!(minutes > 0 && rate > 0)) throw new Error('usage: npm run soak -- --minutes N [--rate sign-ins-a-second]');
const say = (line: string) => void process.stdout.write(`${line}\n`);
const memory = (parts: Part[]) =>
  Object.fromEntries(parts.flatMap((part) => ((mb) => (mb === null ? [] : [[part.name, mb]]))(part.megabytes())));

/** The last part of the time, in which nothing is killed: what grows there would grow for ever. */
const UNDISTURBED = 0.3;
const SAMPLE_EVERY_MS = 5_000;

const world = await raise(say);
let failed = true;
try {
  const load = createLoad(world, rate);
  const end = Date.now() + minutes * 60_000;
  const killEnd = end - UNDISTURBED * minutes * 60_000;
  const pauseMs = Math.max(2_000, ((1 - UNDISTURBED) * minutes * 60_000) / (world.parts.length * 2));
  let kills = 0;
  for (let turn = 0; Date.now() < killEnd; turn++) {
    await sleep(Math.min(pauseMs, killEnd - Date.now()));
    const part = world.parts[turn % world.parts.length];
    if (part === undefined || Date.now() >= killEnd) break;
    say(`${new Date().toISOString().slice(11, 19)} kills ${part.name}`);
    await part.crash();
    kills += 1;
  }
  const samples: Record<string, number>[] = [];
  while (Date.now() < end) {
    await sleep(Math.min(SAMPLE_EVERY_MS, end - Date.now()));
    samples.push(memory(world.parts));
  }
  await load.stop();
  const quietSeconds = await untilQuiet(world, 360_000);
  const verdict = [...(await judge(world, load.told)), ...judgeMemory(samples)];
  const { requests, retries, wrong, answers } = load.told;
  say(
    `\n${minutes} min, ${rate} stories a second, ${kills} kills; ${requests} requests, ${retries} repeated; quiet ${quietSeconds} s after the end\n`,
  );
  for (const { name, expected, found } of verdict)
    say(`${expected === found ? 'ok   ' : 'WRONG'} ${name.padEnd(44)} expected ${expected}, found ${found}`);
  for (const [answer, n] of [...answers].toSorted(([a], [b]) => a.localeCompare(b)))
    say(`      ${answer.padEnd(24)} ${n}`);
  say(`      memory, MB: first ${JSON.stringify(samples.at(0))}, last ${JSON.stringify(samples.at(-1))}`);
  for (const line of wrong.slice(0, 10)) say(`      ${line}`);
  mkdirSync(new URL('results/', import.meta.url), { recursive: true });
  writeFileSync(
    new URL('results/soak.json', import.meta.url),
    JSON.stringify(
      { minutes, rate, kills, requests, retries, quietSeconds, verdict, answers: Object.fromEntries(answers), samples },
      null,
      2,
    ),
  );
  failed = verdict.some(({ expected, found }) => expected !== found);
} finally {
  await world.stop();
}
process.exit(failed ? 1 : 0);

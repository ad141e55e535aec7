/** For `.ci/run`: from the report of a whole run, exits 1 with a line for each test that was skipped though its tool is installed. */
import { readFileSync } from 'node:fs';
import { unrunFiles } from './harness/optional-tools.ts';

const [report = ''] = process.argv.slice(2);
const unrun = unrunFiles(JSON.parse(readFileSync(report, 'utf8')) as Parameters<typeof unrunFiles>[0]);
for (const line of unrun) process.stdout.write(`${line}\n`);
process.exitCode = unrun.length === 0 ? 0 : 1;

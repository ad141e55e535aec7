import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { say } from './say.ts';
import { projectDirectory } from './paths.ts';

/** `npm run check`: every check runs, each reports, one failure fails the whole. */
const checks = [
  { name: 'types', program: 'tsc', args: ['--noEmit'] },
  // Types are needed to see a forgotten promise.
  { name: 'lint', program: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', program: 'prettier', args: ['--check', '--log-level', 'warn', '.'] },
];

const failed = checks.filter(({ name, program, args }) => {
  const began = performance.now();
  const script = join(projectDirectory, 'node_modules', '.bin', program);
  const { status, error } = spawnSync(script, args, {
    cwd: projectDirectory,
    stdio: 'inherit',
    shell: process.platform === 'win32',
    // Those programs are scripts for `node`: this one, not the system's.
    env: { ...process.env, PATH: pathWithOurNode() },
  });
  if (error) say(`${program}: ${error.message}`);
  say(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  return status !== 0;
});
process.exitCode = failed.length === 0 ? 0 : 1;

function pathWithOurNode(): string {
  const separator = process.platform === 'win32' ? ';' : ':';
  return [join(process.execPath, '..'), process.env['PATH']].join(separator);
}

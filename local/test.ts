import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { explain } from './problem.ts';
import { say } from './say.ts';
import { projectDirectory } from './start/settings.ts';
import { findTemporalCli } from './temporal-cli.ts';

/** `npm test [-- arguments of vitest]`: gets what the tests run against, shows its progress, then runs them once. */
async function test(args: string[]): Promise<number> {
  const stopping = new AbortController();
  let forward = (_signal: NodeJS.Signals): void => stopping.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => forward(signal));

  const cli = await findTemporalCli({ log: say, signal: stopping.signal });
  const vitest = spawn(process.execPath, [join(projectDirectory, 'node_modules/vitest/vitest.mjs'), 'run', ...args], {
    cwd: projectDirectory,
    env: { ...process.env, TEMPORAL_CLI_PATH: cli },
    stdio: 'inherit',
  });
  // Its own teardown stops the database and the server.
  forward = (signal) => void vitest.kill(signal);
  return new Promise((done, fail) => {
    vitest.once('error', fail);
    vitest.once('exit', (code, signal) => done(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}

try {
  process.exitCode = await test(process.argv.slice(2));
} catch (error) {
  say(explain(error));
  process.exitCode = 1;
}

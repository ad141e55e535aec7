import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { stopUnusedPostgres } from './embedded-postgres.ts';
import { explain } from './problem.ts';
import { stopLeftoversIn } from './process-record.ts';
import { say } from './say.ts';
import { dataDirectory, projectDirectory, recordDirectory } from './paths.ts';
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
  forward = (signal) => void vitest.kill(signal);
  const code = await new Promise<number>((done, fail) => {
    vitest.once('error', fail);
    vitest.once('exit', (status, signal) => done(status ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  await stopWhatItLeft();
  return code;
}

/** Its own teardown stops the database and the servers, but a Ctrl-C or a crash ends it before that. */
async function stopWhatItLeft(): Promise<void> {
  await stopLeftoversIn(recordDirectory);
  await stopUnusedPostgres(join(dataDirectory, 'test-postgres')); // as test/global-setup.ts names it
}

try {
  process.exitCode = await test(process.argv.slice(2));
} catch (error) {
  say(explain(error));
  process.exitCode = 1;
}

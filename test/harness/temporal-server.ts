import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, inject } from 'vitest';
import { freePort, isFree } from '../../local/ports.ts';
import { startTemporal, type Temporal } from '../../local/temporal-server.ts';
import { endsWithin } from '../../local/processes.ts';
import { eventually } from './client.ts';

export interface OwnTemporal {
  /** For `useStack`: raises the server. */
  environment(): Promise<{ TEMPORAL_ADDRESS: string }>;
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** The same server again: same address, same workflows. */
  start(): Promise<void>;
  /** Kills it; an empty one takes its place, at the same address, with these namespaces and no search attribute. */
  replace(namespaces?: readonly string[]): Promise<void>;
  /** Still there, and silent: connections hang. */
  pause(): void;
  resume(): void;
}

/** A Temporal server of this file's own, with a database file, that may be stopped. Call it before `useStack`, so that it outlives the stack. */
export function useOwnTemporal(extraArgs: readonly string[] = []): OwnTemporal {
  const directory = mkdtempSync(join(tmpdir(), 'session-management-temporal-'));
  let port = 0;
  let server: Temporal | undefined;
  const signal = (name: NodeJS.Signals) => server && process.kill(server.pid, name);
  const launch = async (namespace: string, more: readonly string[]) => {
    // connections of a killed server linger for a moment
    await eventually(
      () => isFree(port),
      (free) => free,
    );
    server = await startTemporal({
      cli: inject('temporalCli'),
      port,
      namespace,
      dbFile: join(directory, 'temporal.db'),
      extraArgs: [...extraArgs, ...more],
    });
  };
  const self: OwnTemporal = {
    async environment() {
      port = await freePort();
      await self.start();
      return { TEMPORAL_ADDRESS: `127.0.0.1:${port}` };
    },
    start: () => launch('default', []),
    async stop() {
      await server?.stop();
    },
    async kill9() {
      signal('SIGKILL');
      if (server) await endsWithin(server.identity, 5_000);
    },
    async replace([namespace = 'default', ...others] = []) {
      await self.kill9();
      for (const file of readdirSync(directory)) rmSync(join(directory, file));
      await launch(
        namespace,
        others.flatMap((name) => ['--namespace', name]),
      );
    },
    pause: () => void signal('SIGSTOP'),
    resume: () => void signal('SIGCONT'),
  };
  afterAll(async () => {
    await self.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return self;
}

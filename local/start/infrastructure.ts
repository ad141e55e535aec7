import { join } from 'node:path';
import { ensurePostgres } from '../embedded-postgres.ts';
import { requireFreePort } from '../ports.ts';
import { type ProcessIdentity, endsWithin, isAlive } from '../processes.ts';
import { whereDataLies } from '../postgres/cluster.ts';
import { findPostmaster } from '../postgres/postmaster.ts';
import type { Say } from '../say.ts';
import { findTemporalCli } from '../temporal-cli.ts';
import { startTemporal } from '../temporal-server.ts';
import type { Part, Raised } from './part.ts';
import { dataDirectory, logFile, recordFile } from '../paths.ts';
import type { Settings } from './settings.ts';

/** The embedded PostgreSQL. `tell` hears its address each time it has been raised. */
export function postgresPart({ POSTGRES_PORT: port }: Settings, tell: (url: string) => void): Part {
  const dataDir = join(dataDirectory, 'postgres');
  const where = whereDataLies(dataDir);
  return {
    title: 'PostgreSQL',
    logFile: `${where}.log`,
    async raise() {
      if (!findPostmaster(where)) await requireFreePort(port, 'embedded PostgreSQL', 'POSTGRES_PORT');
      const postgres = await ensurePostgres({ dataDir, port });
      tell(postgres.url);
      // SIGQUIT is its own way of stopping at once: SIGKILL would leave its children and shared memory behind.
      return raised(postgres, 'SIGQUIT');
    },
  };
}

/** The Temporal dev server with its web UI; workflows are kept in a file. */
export function temporalPart(settings: Settings, say: Say): Part {
  const { TEMPORAL_PORT: port, TEMPORAL_UI_PORT: uiPort, TEMPORAL_NAMESPACE: namespace } = settings;
  const log = logFile('temporal');
  return {
    title: 'the Temporal server',
    logFile: log,
    async raise(signal) {
      await requireFreePort(port, 'Temporal server', 'TEMPORAL_PORT');
      await requireFreePort(uiPort, 'Temporal UI', 'TEMPORAL_UI_PORT');
      const cli = await findTemporalCli({ log: say, signal });
      const dbFile = join(dataDirectory, 'temporal.db');
      const files = { dbFile, pidFile: recordFile('temporal'), logFile: log };
      return raised(await startTemporal({ cli, port, uiPort, namespace, ...files }), 'SIGKILL');
    },
  };
}

interface Server {
  identity: ProcessIdentity;
  stop(): Promise<void>;
}

function raised(server: Server, killSignal: NodeJS.Signals): Raised {
  const { identity } = server;
  const kill = (): void => void (isAlive(identity) && process.kill(identity.pid, killSignal));
  return { ended: end(identity), stop: () => server.stop(), kill };
}

/** Neither need be a child of ours, so its end is looked for. */
async function end(identity: ProcessIdentity): Promise<string> {
  await endsWithin(identity, Number.POSITIVE_INFINITY, 500);
  return `process ${identity.pid} is gone`;
}

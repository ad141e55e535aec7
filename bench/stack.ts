/** What the measures run against: PostgreSQL, Temporal, the API and a worker as processes of their own, like in production. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { createDatabase, ensurePostgres } from '../local/embedded-postgres.ts';
import { freePort } from '../local/ports.ts';
import { findTemporalCli } from '../local/temporal-cli.ts';
import { startTemporal } from '../local/temporal-server.ts';
import { migrate } from '../src/migrate.ts';
import { type FaultyAuthModule, startFaultyAuthModule } from '../test/faulty-auth-module.ts';
import { type Issuer, startIssuer } from '../test/harness/issuer.ts';

export interface BenchStack {
  url: string;
  databaseUrl: string;
  pool: pg.Pool;
  issuer: Issuer;
  /** In memory, without faults: what is measured is the service. */
  authModule: FaultyAuthModule;
  environment: Record<string, string>;
  temporalAddress: string;
  temporalPid: number;
  /** Of the worker that runs now. */
  workerPid(): number;
  /** Kills the worker as a crash would, and starts another. */
  replaceWorker(): Promise<void>;
  adminToken(organization: string): Promise<string>;
  stop(): Promise<void>;
}

const projectDirectory = fileURLToPath(new URL('..', import.meta.url));
const dataDirectory = join(projectDirectory, '.data', 'bench');

export async function raise(say: (line: string) => void): Promise<BenchStack> {
  mkdirSync(dataDirectory, { recursive: true });
  const cli = await findTemporalCli({ log: say });
  const postgres = await ensurePostgres({
    dataDir: join(dataDirectory, 'postgres'),
    settings: { shared_buffers: '512MB', max_connections: '200', max_wal_size: '4GB' },
  });
  const name = `bench_${process.pid}`;
  const databaseUrl = await createDatabase(postgres.url, name);
  await migrate(databaseUrl);
  const temporal = await startTemporal({
    cli,
    port: await freePort(),
    namespace: 'default',
    logFile: join(dataDirectory, 'temporal.log'),
  });
  const [issuer, authModule, port] = await Promise.all([startIssuer(), startFaultyAuthModule(), freePort()]);
  const environment = {
    PORT: String(port),
    HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    AUTH_MODULE_URL: authModule.url,
    AUTH_MODULE_TOKEN: authModule.token,
    JWT_ISSUER: issuer.issuer,
    JWT_AUDIENCE: issuer.audience,
    JWKS_URL: issuer.jwksUrl,
    WRITES_PER_MINUTE: '0',
    LOG_LEVEL: 'warn',
  };
  // more connections than PostgreSQL has cores for only take turns on them
  const api = run('src/api.ts', { ...environment, DATABASE_POOL_SIZE: process.env['DATABASE_POOL_SIZE'] ?? '4' });
  const startWorker = () => run('src/worker.ts', { ...environment, LOG_LEVEL: 'info' });
  let worker = startWorker();
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/readyz`)).ok);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 8 });
  return {
    url,
    databaseUrl,
    pool,
    issuer,
    authModule,
    environment,
    temporalAddress: temporal.address,
    temporalPid: temporal.pid,
    workerPid: () => worker.pid ?? 0,
    async replaceWorker() {
      await end(worker, 'SIGKILL');
      worker = startWorker();
    },
    adminToken: (organization) =>
      issuer.token({ sub: 'admin', roles: ['org_admin'], org_id: organization, sid: `admin-of-${organization}` }),
    async stop() {
      await Promise.all([end(api), end(worker)]);
      await pool.end();
      await Promise.all([authModule.stop(), issuer.close(), temporal.stop()]);
      const admin = new pg.Client({ connectionString: postgres.url });
      await admin.connect();
      await admin.query(`drop database if exists ${name} with (force)`);
      await admin.end();
      await postgres.stop();
    },
  };
}

function run(file: string, environment: Record<string, string>): ChildProcess {
  const log = openSync(join(dataDirectory, `${file.split('/').at(-1) ?? 'process'}.log`), 'w');
  const child = spawn(
    process.execPath,
    [
      ...(process.env['BENCH_PROFILE'] === undefined
        ? []
        : ['--cpu-prof', `--cpu-prof-dir=${process.env['BENCH_PROFILE']}`]),
      join(projectDirectory, file),
    ],
    {
      env: { ...process.env, ...environment },
      stdio: ['ignore', log, log],
    },
  );
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

const end = (child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> =>
  new Promise((ended) => {
    if (child.exitCode !== null || child.signalCode !== null) return ended();
    child.once('exit', () => ended());
    child.kill(signal);
  });

export async function until(condition: () => Promise<boolean>, withinMs = 60_000, everyMs = 50): Promise<void> {
  const limit = performance.now() + withinMs;
  for (;;) {
    if (await condition().catch(() => false)) return;
    if (performance.now() > limit) throw new Error(`not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

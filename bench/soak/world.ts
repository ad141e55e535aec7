/** Everything the soak runs against, each a process that can be killed and comes back: PostgreSQL, Temporal, two APIs, two workers, an Auth Module. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type pg from 'pg';
import { freePort } from '../../local/ports.ts';
import { findTemporalCli } from '../../local/temporal-cli.ts';
import { migrate } from '../../src/migrate.ts';
import { type FaultyAuthModule, startFaultyAuthModule } from '../../test/faulty-auth-module.ts';
import { type Issuer, startIssuer } from '../../test/harness/issuer.ts';
import { authModulePart, dataDirectory, type Part, postgresPart, processPart, query, temporalPart } from './parts.ts';

export interface World {
  urls: string[];
  issuer: Issuer;
  authModule: FaultyAuthModule;
  parts: Part[];
  query<T extends pg.QueryResultRow>(text: string): Promise<T[]>;
  stop(): Promise<void>;
}

export async function raise(say: (line: string) => void): Promise<World> {
  mkdirSync(dataDirectory, { recursive: true });
  const name = `soak_${process.pid}`;
  const postgres = await postgresPart(name);
  const temporal = await temporalPart(await findTemporalCli({ log: say }), name);
  await migrate(postgres.databaseUrl);
  const [issuer, authModule] = await Promise.all([startIssuer(), startFaultyAuthModule()]);
  const environment = {
    HOST: '127.0.0.1',
    DATABASE_URL: postgres.databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    AUTH_MODULE_URL: authModule.url,
    AUTH_MODULE_TOKEN: authModule.token,
    JWT_ISSUER: issuer.issuer,
    JWT_AUDIENCE: issuer.audience,
    JWKS_URL: issuer.jwksUrl,
    WRITES_PER_MINUTE: '0',
    LOG_LEVEL: 'info',
    DATABASE_POOL_SIZE: '6',
    AUTH_MODULE_TIMEOUT_MS: '1000',
    GRANT_MIN_SECONDS: '5',
    WORKFLOW_BUNDLE_PATH: await bundle(),
  };
  const ports = [await freePort(), await freePort()];
  const apis = await Promise.all(
    ports.map((port, n) =>
      processPart(
        `api ${n + 1}`,
        'src/api.ts',
        { ...environment, PORT: String(port) },
        `http://127.0.0.1:${port}/healthz`,
      ),
    ),
  );
  const workers = await Promise.all(
    [1, 2].map(async (n) => {
      const port = await freePort();
      return processPart(
        `worker ${n}`,
        'test/operations/worker-process.ts',
        { ...environment, METRICS_PORT: String(port) },
        `http://127.0.0.1:${port}/readyz`,
      );
    }),
  );
  const parts: Part[] = [...apis, ...workers, authModulePart(authModule), temporal, postgres];
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}`),
    issuer,
    authModule,
    parts,
    query: (text) => query(postgres.databaseUrl, text),
    async stop() {
      for (const part of parts) await part.stop();
      await issuer.close();
    },
  };
}

/** Made once, as in the image. */
async function bundle(): Promise<string> {
  const path = join(dataDirectory, 'workflow-bundle.js');
  const workflowsPath = fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url));
  writeFileSync(path, (await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') })).code);
  return path;
}

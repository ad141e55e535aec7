/** Builds what the processes need, once, from the configuration. The only assembler. */
import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { createActivities } from './activities/index.ts';
import { createApiReadiness } from './api-readiness.ts';
import { createCallSlots } from './auth-module/call-slots.ts';
import { createHttpAuthModule } from './auth-module/http-auth-module.ts';
import { limitedAuthModule } from './auth-module/limited-auth-module.ts';
import type { Config } from './config.ts';
import { type Database, openDatabase, row } from './database.ts';
import { warnOfLostSettings } from './database/lost-settings.ts';
import { createReportFailure } from './dispatcher/report-failures.ts';
import { createTemporalSetup } from './dispatcher/temporal-setup.ts';
import { createDeliver } from './dispatcher/deliver.ts';
import { createArmGrant } from './dispatcher/arm-grant.ts';
import { createChangeFeed } from './service/change-feed.ts';
import { createObserveClock } from './metrics/auth-module-clock.ts';
import { createDatabaseFailures } from './metrics/database-failures.ts';
import { createRegistry } from './metrics/create-registry.ts';
import { measuredAuthModule } from './metrics/auth-module-calls.ts';
import { measuredDeliver } from './metrics/deliveries.ts';
import { createCountEngineFailure } from './metrics/engine-failures.ts';
import { createCountFound } from './metrics/found-chains.ts';
import { createCountRemoved } from './metrics/retention-metrics.ts';
import { watchedActivities } from './metrics/rows-gone.ts';
import { createReadCallerFacts } from './service/read-caller-facts.ts';
import { createService } from './service/create-service.ts';
import { temporalConnection } from './temporal-connection.ts';
import { createAuditSigner } from './signing/audit-signer.ts';
import { traceStarts } from './tracing/temporal.ts';
import { tracedAuthModule } from './tracing/traced-auth-module.ts';
import { noTracing, type Tracing } from './tracing/tracing.ts';
import { watchDatabase } from './watch-database.ts';

/** Connects lazily and impatiently: a Temporal that is away fails a call in a fifth of a second instead of twenty. */
export function createTemporalClient(
  { temporal }: Pick<Config, 'temporal'>,
  tracing = noTracing,
): { client: Client; connection: Connection } {
  const connection = Connection.lazy({
    ...temporalConnection(temporal),
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: 2 }))],
  });
  const interceptors = { workflow: [traceStarts(tracing)] };
  return { client: new Client({ connection, namespace: temporal.namespace, interceptors }), connection };
}

const createAuthModule = ({ authModule: { url, token, timeoutMs } }: Config, tracing = noTracing) =>
  tracedAuthModule(
    createHttpAuthModule({ url, token, timeoutMs, traceparent: () => tracing.carrier()?.traceparent }),
    tracing,
  );

/** A request that waits longer for a lock, of a schema change say, is answered 503: it may be tried again. */
const REQUEST_LOCK_TIMEOUT_MS = 2_000;

function warnOfDatabase(database: Database, config: Config, logger: Logger): void {
  const { warning } = database.connector;
  if (warning !== undefined) logger.warn(warning);
  warnOfLostSettings(database, config.database.isPooled, logger);
}

/** What the API process needs. */
export async function buildApiDependencies(
  config: Config,
  logger: Logger,
  { tracing, draining }: { tracing: Tracing; draining: AbortSignal },
) {
  const failures = createDatabaseFailures();
  const database = await openDatabase({
    ...config.database,
    onError: failures.count,
    applicationName: 'session-management-api',
    connectTimeoutMs: 900,
    lockTimeoutMs: REQUEST_LOCK_TIMEOUT_MS,
  });
  warnOfDatabase(database, config, logger);
  const { client, connection } = createTemporalClient(config, tracing);
  const changes = createChangeFeed({ connector: database.listening });
  const metrics = createRegistry(database);
  const watch = watchDatabase({ database, metrics, logger });
  failures.register(metrics);
  const { taskQueue, namespace } = config.temporal;
  const setup = createTemporalSetup({ connection, namespace, logger });
  const reportFailure = createReportFailure(logger, createCountEngineFailure(metrics));
  const telling = { client, taskQueue, setup, reportFailure, tracing };
  const deliver = measuredDeliver(createDeliver({ ...telling, database }), metrics);
  const signer = createAuditSigner(config.audit, logger);
  const arm = createArmGrant(telling);
  return {
    service: createService({
      database,
      changes,
      deliver,
      arm,
      signer,
      config,
      draining,
      onClockDifference: createObserveClock(metrics),
    }),
    callerFacts: { read: createReadCallerFacts({ database }) },
    database,
    metrics,
    auditKeys: signer?.publicKeys,
    readiness: createApiReadiness({ database, connection, namespace, authModule: createAuthModule(config) }),
    cursorKey: async () =>
      (await row<{ key: Buffer }>(database.pool, sql`select key from service_keys where name = 'cursor'`))?.key ??
      Promise.reject(new Error('the schema has no cursor key')),
    async close() {
      watch.stop();
      await changes.close();
      await connection.close();
      await database.close();
    },
  };
}

/** What the worker process needs. */
export async function buildWorkerDependencies(config: Config, logger: Logger, tracing: Tracing = noTracing) {
  const failures = createDatabaseFailures();
  const database = await openDatabase({
    ...config.database,
    onError: failures.count,
    applicationName: 'session-management-worker',
  });
  warnOfDatabase(database, config, logger);
  const { client, connection } = createTemporalClient(config, tracing);
  const leaseMs = config.authModule.timeoutMs + 10_000;
  const metrics = createRegistry(database);
  const watch = watchDatabase({ database, metrics, logger });
  failures.register(metrics);
  const authModule = limitedAuthModule(
    measuredAuthModule(createAuthModule(config, tracing), metrics),
    createCallSlots({ database, concurrency: config.authModule.concurrency, leaseMs }),
  );
  const { verifyAfterSeconds, accessTokenTtlSeconds } = config;
  const { taskQueue, namespace } = config.temporal;
  const setup = createTemporalSetup({ connection, namespace, logger });
  const reportFailure = createReportFailure(logger, createCountEngineFailure(metrics));
  return {
    database,
    setup,
    connection,
    metrics,
    /** What retention removes does not come back: it waits while it cannot know what is old. */
    mayRemove: () => watch.clocksAgree(),
    signer: createAuditSigner(config.audit, logger),
    onRemoved: createCountRemoved(metrics),
    deliver: measuredDeliver(
      createDeliver({ database, client, taskQueue, setup, reportFailure, timeoutMs: 5_000, tracing }),
      metrics,
    ),
    activities: watchedActivities(
      createActivities({
        database,
        authModule,
        verifyAfterSeconds,
        accessTokenTtlSeconds,
        onFound: createCountFound(metrics),
      }),
      metrics,
    ),
    async close() {
      watch.stop();
      await connection.close();
      await database.close();
    },
  };
}

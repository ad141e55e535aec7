import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, inject } from 'vitest';
import { startApi } from '../../src/api.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { startWorker } from '../../src/worker.ts';
import { type FaultyAuthModule, startFaultyAuthModule } from '../faulty-auth-module.ts';
import { cloneDatabase, type TestDatabase } from './database.ts';
import { type Issuer, startIssuer } from './issuer.ts';

// one runtime for all files of a process; a second install throws
const runtime = globalThis as { sessionManagementRuntime?: boolean };
if (!runtime.sessionManagementRuntime) Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
runtime.sessionManagementRuntime = true;

export interface Stack {
  config: Config;
  /** What the configuration was read from, for processes of the test's own. */
  environment: Record<string, string>;
  /** Base address of the API. */
  url: string;
  database: TestDatabase;
  issuer: Issuer;
  /** In memory, and as wrong as a test wants it. */
  authModule: FaultyAuthModule;
  /** The Temporal server of the stack, as an operator sees it; connects on first use. */
  temporal: Client;
}

export interface StackOptions {
  environment?: Record<string, string> | (() => Promise<Record<string, string>>);
  /** Without one, decisions stay undelivered. Default true. */
  worker?: boolean;
  /** Hears each line of the log; `LOG_LEVEL` says which there are. */
  onLog?: (line: string) => void;
}

/** A private JWK, as the configuration takes it. */
export const newSigningKey = (): string =>
  JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }));

/** The whole service for one test file: own database, own task queue on the shared Temporal server, API, worker, Auth Module. */
export function useStack({
  environment = {},
  worker = true,
  onLog = (line) => void process.stdout.write(line),
}: StackOptions = {}): Stack {
  const stack = {} as Stack;
  const closers: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    const [database, issuer, authModule] = await Promise.all([cloneDatabase(), startIssuer(), startFaultyAuthModule()]);
    const variables: Record<string, string> = {
      PORT: '0',
      HOST: '127.0.0.1',
      DATABASE_URL: database.url,
      DATABASE_POOL_SIZE: '8',
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_TASK_QUEUE: randomUUID(),
      AUTH_MODULE_URL: authModule.url,
      AUTH_MODULE_TOKEN: authModule.token,
      AUTH_MODULE_TIMEOUT_MS: '1000',
      JWT_ISSUER: issuer.issuer,
      JWT_AUDIENCE: issuer.audience,
      JWKS_URL: issuer.jwksUrl,
      AUDIT_SIGNING_KEY: newSigningKey(),
      WRITES_PER_MINUTE: '0',
      LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
      ...(typeof environment === 'function' ? await environment() : environment),
    };
    const config = loadConfig(variables);
    const logger = pino({ level: config.logLevel }, { write: onLog });
    closers.push(
      () => database.drop(),
      issuer.close,
      () => authModule.stop(),
    );
    const api = await startApi(config, logger);
    closers.push(api.stop);
    const connection = Connection.lazy({ address: config.temporal.address });
    closers.push(() => connection.close());
    Object.assign(stack, {
      config,
      environment: variables,
      url: api.url,
      database,
      issuer,
      authModule,
      temporal: new Client({ connection }),
    });
    if (!worker) return;
    const running = await startWorker(config, logger, {
      workflowBundle: { codePath: inject('workflowBundlePath') },
      workflowsPath: undefined,
      shutdownGraceTime: 500,
      shutdownForceTime: 15_000,
    });
    closers.push(() => (running.shutdown(), running.done));
  });
  afterAll(async () => {
    for (const close of closers.toReversed()) await close();
  });
  return stack;
}

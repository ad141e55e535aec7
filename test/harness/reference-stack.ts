import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, inject } from 'vitest';
import { type ReferenceAuthModule, startReferenceAuthModule } from '../../reference-auth-module/server.ts';
import { startApi, type RunningApi } from '../../src/api.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { startWorker } from '../../src/worker.ts';
import { createDatabase } from '../../local/embedded-postgres.ts';
import { cloneDatabase, type TestDatabase } from './database.ts';
import { type EventGate, startEventGate } from './event-gate.ts';

const runtime = globalThis as { sessionManagementRuntime?: boolean };
if (!runtime.sessionManagementRuntime) Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
runtime.sessionManagementRuntime = true;

/** The service with the real reference Auth Module: nothing in it is a stand-in. */
export interface ReferenceStack {
  config: Config;
  /** Base address of the API. */
  url: string;
  database: TestDatabase;
  temporal: Client;
  /** Address of the reference Auth Module, and issuer of its tokens. */
  issuer: string;
  /** The way by which the Auth Module reaches the API. */
  gate: EventGate;
  /** What the Auth Module keeps, as it keeps it. */
  authDatabase: pg.Pool;
  /** A call to the Auth Module with the bearer of the port and of `/demo/…`. */
  ask<T>(path: string, body: object): Promise<T>;
  restartAuthModule(options: { clockOffsetMs: number }): Promise<void>;
  /** Ends the API as a deploy does; starts it again, elsewhere. */
  restartApi(meanwhile: () => Promise<unknown>): Promise<void>;
}

export interface ReferenceStackOptions {
  environment?: Record<string, string>;
  /** How far the clock of the Auth Module is ahead; negative: behind. */
  clockOffsetMs?: number;
}

const authModuleToken = 'auth-module-token-of-the-races';
const audience = 'session-management-service';

/** API, worker, reference Auth Module and their two databases for one test file, on the run's PostgreSQL and Temporal. */
export function useReferenceStack({ environment = {}, clockOffsetMs = 0 }: ReferenceStackOptions = {}): ReferenceStack {
  const stack = {} as ReferenceStack;
  const closers: (() => Promise<unknown>)[] = [];

  async function start(): Promise<void> {
    const [database, gate, authDatabaseUrl] = await Promise.all([
      cloneDatabase(),
      startEventGate(),
      createOwnDatabase(),
    ]);
    closers.push(
      () => database.drop(),
      gate.stop,
      () => dropDatabase(authDatabaseUrl),
    );
    // The Auth Module must know where the API is, the API whose keys to trust: the gate is there before both.
    const startModule = (port: number, offsetMs: number): Promise<ReferenceAuthModule> =>
      startReferenceAuthModule({
        port,
        databaseUrl: authDatabaseUrl,
        sessionServiceUrl: gate.url,
        authModuleToken,
        audience,
        clockOffsetMs: offsetMs,
      });
    let authModule = await startModule(0, clockOffsetMs);
    const authDatabase = new pg.Pool({ connectionString: authDatabaseUrl, max: 2 });
    authDatabase.on('error', () => undefined);
    closers.push(
      () => authDatabase.end(),
      () => authModule.stop(),
    );

    const config = configOf(database.url, authModule.url, environment);
    const logger = pino({ level: config.logLevel });
    let api: RunningApi = await startApi(config, logger);
    gate.target = api.url;
    closers.push(() => api.stop());
    const connection = Connection.lazy({ address: config.temporal.address });
    closers.push(() => connection.close());
    const worker = await startWorker(config, logger, {
      workflowBundle: { codePath: inject('workflowBundlePath') },
      workflowsPath: undefined,
      shutdownGraceTime: 500,
      shutdownForceTime: 1_000,
    });
    closers.push(() => (worker.shutdown(), worker.done));

    Object.assign(stack, {
      config,
      url: api.url,
      database,
      temporal: new Client({ connection }),
      issuer: authModule.url,
      gate,
      authDatabase,
      ask: <T>(path: string, body: object) => ask<T>(authModule.url, path, body),
      async restartAuthModule({ clockOffsetMs: offsetMs }) {
        await authModule.stop();
        authModule = await startModule(Number(new URL(authModule.url).port), offsetMs);
      },
      async restartApi(meanwhile) {
        await api.stop();
        await meanwhile();
        api = await startApi(config, logger);
        stack.url = gate.target = api.url;
      },
    } satisfies ReferenceStack);
  }

  beforeAll(start);
  afterAll(async () => {
    for (const close of closers.toReversed()) await close();
  });
  return stack;
}

const configOf = (databaseUrl: string, issuer: string, environment: Record<string, string>): Config =>
  loadConfig({
    PORT: '0',
    HOST: '127.0.0.1',
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_TASK_QUEUE: randomUUID(),
    AUTH_MODULE_URL: issuer,
    AUTH_MODULE_TOKEN: authModuleToken,
    JWT_ISSUER: issuer,
    JWT_AUDIENCE: audience,
    JWKS_URL: `${issuer}/jwks`,
    WRITES_PER_MINUTE: '0',
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    ...environment,
  });

/** Named by the run, by which it or a later one finds what a killed run left. */
const createOwnDatabase = (): Promise<string> =>
  createDatabase(
    inject('postgresUrl'),
    `test_${inject('templateDatabase').slice('template_'.length)}_auth_${randomUUID().slice(0, 8)}`,
  );

async function dropDatabase(url: string): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  await admin.query(`drop database if exists ${new URL(url).pathname.slice(1)} with (force)`);
  await admin.end();
}

async function ask<T>(issuer: string, path: string, body: object): Promise<T> {
  const headers = { authorization: `Bearer ${authModuleToken}`, 'content-type': 'application/json' };
  const response = await fetch(new URL(path, issuer), { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (response.status !== 200) throw new Refused(path, response.status, text);
  return JSON.parse(text) as T;
}

/** The Auth Module said no. */
export class Refused extends Error {
  readonly status: number;

  constructor(path: string, status: number, text: string) {
    super(`${path} answered ${status}: ${text}`);
    this.name = 'Refused';
    this.status = status;
  }
}

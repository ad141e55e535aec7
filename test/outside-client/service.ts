import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { type AuthModule, startAuthModule } from './auth-module.ts';
import { type Client, createClient } from './client.ts';
import { createEmptyDatabase, type EmptyDatabase } from './database.ts';
import { eventually } from './eventually.ts';
import { type Issuer, startIssuer } from './issuer.ts';
import { person } from './people.ts';
import { type Ended, type Environment, npmRun, type Running } from './processes.ts';
import { type Severable, startSeverable } from './severable.ts';

export const accessTokenTtlSeconds = 2;
export const verifyAfterSeconds = 1;
export const strictWritesPerMinute = 4;

export interface Service {
  issuer: Issuer;
  authModule: AuthModule;
  /** What the processes are configured with, and all of it. */
  environment: Environment;
  migration: Ended;
  api: Client;
  /**
   * A second API process on the same database. Its Temporal is away, its database can be, its writes are limited, and
   * what a grant may last is the default.
   */
  strictApi: Client;
  database: EmptyDatabase;
  strictDatabase: Severable;
  running: { api: Running; strictApi: Running; worker: Running };
}

type Undo = (() => Promise<unknown>)[];

/** The service as it is run in production: one migration, two API processes and a worker, each by its npm script. */
export function useService(): Service {
  const service = {} as Service;
  const undo: Undo = [];
  beforeAll(async () => void Object.assign(service, await raise(undo)));
  afterAll(async () => {
    for (const step of undo.toReversed()) await step();
  });
  return service;
}

async function raise(undo: Undo): Promise<Service> {
  const [issuer, authModule, database] = await Promise.all([startIssuer(), startAuthModule(), createEmptyDatabase()]);
  const strictDatabase = await startSeverable(database.url.hostname, Number(database.url.port));
  undo.push(issuer.stop, authModule.stop, database.drop, strictDatabase.stop);
  const environment = environmentFor(issuer, authModule, database.url);
  const migration = await npmRun('migrate', environment).ended;
  expect(migration, migration.output).toMatchObject({ code: 0 });

  const ports = [await freePort(), await freePort()].map(String) as [string, string];
  const api = npmRun('api', { ...environment, PORT: ports[0] });
  const strictApi = npmRun('api', { ...strict(environment, database.url, strictDatabase), PORT: ports[1] });
  const worker = npmRun('worker', environment);
  const running = { api, strictApi, worker };
  // whoever runs then: a test may have replaced one
  undo.push(() => Promise.all(Object.values(running).map((process) => process.stop())));
  const clients = ports.map((port) => createClient(`http://127.0.0.1:${port}`)) as [Client, Client];
  await Promise.all([untilAnswering(clients[0], api), untilAnswering(clients[1], strictApi)]);
  const service = { issuer, authModule, environment, migration, running, database, strictDatabase };
  const raised = { ...service, api: clients[0], strictApi: clients[1] };
  await untilWorking(raised);
  return raised;
}

const environmentFor = (issuer: Issuer, authModule: AuthModule, database: URL): Environment => ({
  HOST: '127.0.0.1',
  DATABASE_URL: database.href,
  TEMPORAL_ADDRESS: inject('temporalAddress'),
  TEMPORAL_NAMESPACE: 'default',
  TEMPORAL_TASK_QUEUE: `outside-${randomUUID()}`,
  AUTH_MODULE_URL: authModule.url,
  AUTH_MODULE_TOKEN: authModule.bearer,
  AUTH_MODULE_TIMEOUT_MS: '1500',
  AUTH_MODULE_CONCURRENCY: '8',
  JWT_ISSUER: issuer.issuer,
  JWT_AUDIENCE: issuer.audience,
  JWKS_URL: issuer.jwksUrl,
  AUDIT_SIGNING_KEY: JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })),
  ACCESS_TOKEN_TTL_SECONDS: String(accessTokenTtlSeconds),
  VERIFY_AFTER_SECONDS: String(verifyAfterSeconds),
  GRANT_MIN_SECONDS: '1',
  GRANT_MAX_SECONDS: String(90 * 86_400),
  WRITES_PER_MINUTE: '0',
  LOG_LEVEL: 'warn',
  SHUTDOWN_GRACE_SECONDS: '5',
});

function strict(environment: Environment, database: URL, way: Severable): Environment {
  const { GRANT_MIN_SECONDS: _min, GRANT_MAX_SECONDS: _max, ...rest } = environment;
  const severable = new URL(database);
  severable.hostname = '127.0.0.1';
  severable.port = String(way.port);
  return {
    ...rest,
    DATABASE_URL: severable.href,
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    WRITES_PER_MINUTE: String(strictWritesPerMinute),
  };
}

/** Fails with what the process said if it ends instead. */
export async function untilAnswering(client: Client, process: Running): Promise<void> {
  const isHealthy = () =>
    client.send('GET', '/healthz').then(
      ({ status }) => status === 200,
      () => false,
    );
  const state = await eventually(
    async () => ({ isHealthy: await isHealthy(), isRunning: process.isRunning() }),
    (seen) => seen.isHealthy || !seen.isRunning,
    60_000,
  );
  expect(state, process.output()).toEqual({ isHealthy: true, isRunning: true });
}

/** A worker has no port: it is there when it has done something. */
async function untilWorking(service: Service): Promise<void> {
  const organizationId = `warm-up-${randomUUID()}`;
  const admin = await person(service, { roles: ['org_admin'], org_id: organizationId });
  const path = `/v1/organizations/${organizationId}/users/nobody/sessions/terminate`;
  const answer = await service.api.send('POST', path, { as: admin.token, headers: { prefer: 'wait=30' } });
  expect(answer.status, `${answer.text}\n${service.running.worker.output()}`).toBe(200);
}

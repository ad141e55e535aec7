import { randomUUID } from 'node:crypto';
import { Client, type QueryResultRow } from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import {
  startReferenceAuthModule,
  type ReferenceAuthModule,
  type ReferenceAuthModuleOptions,
} from '../../reference-auth-module/server.ts';
import { startStubService, type StubService } from './stub-session-service.ts';

export const authModuleToken = 'auth-module-token-of-the-tests';
export const audience = 'urn:test:session-management';

export interface Harness {
  readonly issuer: string;
  readonly databaseUrl: string;
  readonly service: StubService;
  /** Ends its part of the process, and starts it again on the same database and port. */
  restart(): Promise<void>;
  post(path: string, body: unknown, token?: string): Promise<{ status: number; body: unknown }>;
  sql<T extends QueryResultRow>(text: string, values?: unknown[]): Promise<T[]>;
}

interface Running {
  authModule: ReferenceAuthModule;
  service: StubService;
  database: Client;
}

/** One reference Auth Module on a database of its own, and a stand-in for the Session Management Service, for one file. */
export function useReferenceAuthModule(options: Partial<ReferenceAuthModuleOptions> = {}): Harness {
  // named so that the run's own tear-down, or the next run's, finds what a killed one left
  const name = `test_${process.pid}_${randomUUID().replaceAll('-', '')}`;
  let running: Running | undefined;
  const now = (): Running => {
    if (!running) throw new Error('used outside of a test');
    return running;
  };
  const start = (port: number, service: StubService) =>
    startReferenceAuthModule({
      port,
      databaseUrl: urlOf(name),
      sessionServiceUrl: service.url,
      authModuleToken,
      audience,
      ...options,
    });

  beforeAll(async () => {
    await asAdmin(`create database ${name}`);
    const database = new Client(urlOf(name));
    await database.connect();
    const service = await startStubService();
    running = { database, service, authModule: await start(0, service) };
  });
  afterAll(async () => {
    await running?.authModule.stop();
    await running?.service.stop();
    await running?.database.end();
    await asAdmin(`drop database if exists ${name} with (force)`);
  });

  return {
    get issuer() {
      return now().authModule.url;
    },
    get databaseUrl() {
      return urlOf(name);
    },
    get service() {
      return now().service;
    },
    async restart() {
      const { authModule, service } = now();
      await authModule.stop();
      now().authModule = await start(Number(new URL(authModule.url).port), service);
    },
    post: (path, body, token = authModuleToken) => post(new URL(path, now().authModule.url), body, token),
    sql: async <T extends QueryResultRow>(text: string, values?: unknown[]) =>
      (await now().database.query<T>(text, values)).rows,
  };
}

function urlOf(database: string): string {
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${database}`;
  return url.href;
}

async function asAdmin(statement: string): Promise<void> {
  const admin = new Client(inject('postgresUrl'));
  await admin.connect();
  await admin.query(statement);
  await admin.end();
}

async function post(url: URL, body: unknown, token: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

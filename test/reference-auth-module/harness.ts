import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import {
  startReferenceAuthModule,
  type ReferenceAuthModule,
  type ReferenceAuthModuleOptions,
} from '../../reference-auth-module/server.ts';
import { startStubService, type StubService } from './stub-session-service.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgresUrl: string;
  }
}

export const authModuleToken = 'auth-module-token-of-the-tests';
export const audience = 'urn:test:session-management';

export interface Harness {
  authModule: ReferenceAuthModule;
  service: StubService;
  databaseUrl: string;
  /** Ends the process's part of it and starts it again on the same database and port. */
  restart(options?: Partial<ReferenceAuthModuleOptions>): Promise<void>;
  post(path: string, body: unknown, token?: string): Promise<{ status: number; body: any }>;
  sql<T extends object>(text: string, values?: unknown[]): Promise<T[]>;
}

/** One reference Auth Module on a database of its own, and a stand-in for the Session Management Service, for one file. */
export function useReferenceAuthModule(options: Partial<ReferenceAuthModuleOptions> = {}): Harness {
  const harness = {} as Harness;
  const name = `ram_${randomUUID().replaceAll('-', '')}`;
  let admin: Client;
  let database: Client;

  beforeAll(async () => {
    const adminUrl = inject('postgresUrl');
    admin = new Client(adminUrl);
    await admin.connect();
    await admin.query(`create database ${name}`);
    const url = new URL(adminUrl);
    url.pathname = `/${name}`;
    database = new Client(url.href);
    await database.connect();
    const service = await startStubService();
    const start = (port: number, more: Partial<ReferenceAuthModuleOptions> = {}) =>
      startReferenceAuthModule({
        port,
        databaseUrl: url.href,
        sessionServiceUrl: service.url,
        authModuleToken,
        audience,
        ...options,
        ...more,
      });
    Object.assign(harness, {
      service,
      databaseUrl: url.href,
      authModule: await start(0),
      async restart(more) {
        await harness.authModule.stop();
        harness.authModule = await start(Number(new URL(harness.authModule.url).port), more);
      },
      post: (path, body, token = authModuleToken) => post(new URL(path, harness.authModule.url), body, token),
      sql: async (text, values) => (await database.query(text, values)).rows,
    } satisfies Harness);
  });

  afterAll(async () => {
    await harness.authModule?.stop();
    await harness.service?.stop();
    await database?.end();
    await admin?.query(`drop database if exists ${name} with (force)`);
    await admin?.end();
  });
  return harness;
}

async function post(url: URL, body: unknown, token: string) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

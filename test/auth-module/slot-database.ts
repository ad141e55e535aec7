import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type QueryResultRow } from 'pg';
import { afterAll, afterEach, beforeAll, inject } from 'vitest';
import { type CallSlots, createCallSlots } from '../../src/auth-module/call-slots.ts';
import { type Database, openDatabase } from '../../src/database.ts';

/** A database of its own with nothing but the slots: each `process` is a pool and a queue that know nothing of others. */
export function useSlotDatabase() {
  const name = `slots_${randomUUID().replaceAll('-', '')}`;
  const adminUrl = inject('postgresUrl');
  const url = Object.assign(new URL(adminUrl), { pathname: name }).href;
  const databases: Database[] = [];
  const query = async <T extends QueryResultRow>(sql: string, at = url): Promise<T[]> => {
    const client = new Client(at);
    await client.connect();
    try {
      return (await client.query<T>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  beforeAll(async () => {
    await query(`create database ${name}`, adminUrl);
    await query(`create function current_instant() returns timestamptz language sql volatile as 'select clock_timestamp()';
      create table auth_module_slots (slot int primary key, organization_id text null, holder uuid null,
        leased_until timestamptz not null default '-infinity')`);
  });
  afterEach(async () => {
    await Promise.all(databases.splice(0).map((database) => database.close()));
    await query('truncate auth_module_slots');
  });
  afterAll(() => query(`drop database ${name} with (force)`, adminUrl));

  const startProcess = async ({ concurrency = 8, leaseMs = 30_000 } = {}): Promise<CallSlots> => {
    const database = await openDatabase({ url, applicationName: 'slots-test', poolSize: 4 });
    databases.push(database);
    return createCallSlots({ database, concurrency, leaseMs });
  };
  return { startProcess, query };
}

/** Work that ends when told: many calls in flight, seen from outside. */
export function createCalls() {
  const running = new Map<string, (() => void)[]>();
  let begun = 0;
  const inFlight = (organizationId?: string) =>
    organizationId === undefined
      ? [...running.values()].reduce((sum, each) => sum + each.length, 0)
      : (running.get(organizationId)?.length ?? 0);
  return {
    inFlight,
    /** Starts a call that holds its slot until `finish`. */
    begin: (slots: CallSlots, organizationId: string, signal?: AbortSignal) =>
      slots.withSlot(
        organizationId,
        () =>
          new Promise<void>((resolve) => {
            running.set(organizationId, [...(running.get(organizationId) ?? []), resolve]);
            begun += 1;
          }),
        signal,
      ),
    organizations: () => [...running.keys()],
    /** How many calls have got a slot so far. */
    begun: () => begun,
    /** Ends the oldest calls of an organization. */
    finish(organizationId: string, count = Infinity) {
      const calls = running.get(organizationId) ?? [];
      for (const end of calls.splice(0, count)) end();
    },
  };
}

/** Ends whatever gets a slot until `total` calls have had one. */
export async function finishAll(calls: ReturnType<typeof createCalls>, total: number): Promise<void> {
  while (calls.begun() < total || calls.inFlight() > 0) {
    for (const organizationId of calls.organizations()) calls.finish(organizationId);
    await sleep(5);
  }
}

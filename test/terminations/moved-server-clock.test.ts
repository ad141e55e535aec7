/** The clock of a real PostgreSQL, moved while it runs. */
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { toolFor } from '../harness/optional-tools.ts';
import { useOwnPostgres } from '../harness/own-postgres.ts';
import { useStack } from '../harness/stack.ts';
import { listSessions, signIn, terminate, untilVerified } from '../harness/terminations.ts';

const libfaketime = toolFor('libfaketime') ?? '';

describe.skipIf(libfaketime === '')('a PostgreSQL whose clock is moved while it runs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'session-management-clock-'));
  chmodSync(directory, 0o755);
  const file = join(directory, 'clock');
  const write = (seconds: number) => {
    writeFileSync(`${file}.next`, `${seconds >= 0 ? '+' : ''}${seconds}s\n`, { mode: 0o644 });
    renameSync(`${file}.next`, file);
  };
  write(0);
  const postgres = useOwnPostgres({
    environment: {
      LD_PRELOAD: libfaketime,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // what sleeps and times out inside the server goes on
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      DONT_FAKE_MONOTONIC: '1',
    },
  });
  const stack = useStack({
    environment: async () => ({
      ...(await postgres.environment()),
      VERIFY_AFTER_SECONDS: '1',
      ACCESS_TOKEN_TTL_SECONDS: '2',
    }),
  });
  const connection = { open: undefined as pg.Client | undefined };
  const differenceSeconds = async () => {
    connection.open ??= await connect(postgres.url());
    const { rows } = await connection.open.query<{ ms: number }>(
      'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
    );
    return ((rows[0]?.ms ?? Number.NaN) - Date.now()) / 1_000;
  };
  const set = async (seconds: number) => {
    write(seconds);
    await eventually(differenceSeconds, (difference) => Math.abs(difference - seconds) < 1);
  };
  beforeEach(() => set(0));
  afterAll(async () => {
    await connection.open?.end();
    rmSync(directory, { recursive: true, force: true });
  });

  const session = (organizationId: string, sessionId: string, afterMs = 0) => ({
    organizationId,
    userId: 'grace',
    sessionId,
    chainIds: [sessionId],
    startedAt: new Date(Date.now() + afterMs).toISOString(),
  });
  const five = (organizationId: string) => [1, 2, 3, 4, 5].map((n) => session(organizationId, `s${n}`));
  const active = async (organizationId: string) =>
    (await listSessions(stack, organizationId, 'grace')).map(({ id }) => id);

  it('ten minutes back: all that is recorded ends', async () => {
    await signIn(stack, ...five('back'));
    await set(-600);
    const { body } = await terminate(stack, 'back', 'users/grace/sessions/terminate', { prefer: 'wait=20' });
    expect(body).toMatchObject({ status: 'completed', sessions: { total: 5 }, chains: { confirmed: 5 } });
    expect(await active('back')).toEqual([]);
    expect(stack.authModule.chains.alive('back')).toEqual([]);
  });

  it('ten minutes ahead, and right again: who signs in then stays', async () => {
    await signIn(stack, ...five('ahead'));
    await set(600);
    const { body } = await terminate(stack, 'ahead', 'users/grace/sessions/terminate', { prefer: 'wait=20' });
    expect(body).toMatchObject({ status: 'completed', chains: { confirmed: 5 } });
    await set(0);
    await signIn(stack, session('ahead', 'after', 5_000));
    await untilVerified(stack, body);
    expect(await active('ahead')).toEqual(['after']);
    expect(stack.authModule.chains.alive('ahead').map(({ chainId }) => chainId)).toEqual(['after']);
  });
});

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

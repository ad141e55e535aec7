import { expect, it } from 'vitest';
import { eventually } from '../harness/client.ts';
import { event, report, started } from '../harness/events.ts';
import { useStack } from '../harness/stack.ts';

const stack = useStack({ worker: false });

const updates = async () => {
  const [row] = await stack.database.query<{ all: number; hot: number }>(
    `select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'sessions'`,
  );
  return row ?? { all: 0, hot: 0 };
};

it('a refresh, with a later end and another address, changes no index (PostgreSQL: a HOT update)', async () => {
  const startedAt = new Date(Date.now() - 3_600_000).toISOString();
  const sessions = Array.from({ length: 60 }, (_, n) => ({
    organizationId: 'hot',
    userId: `u${n % 5}`,
    sessionId: `s${n}`,
    startedAt,
  }));
  await report(
    stack,
    sessions.map((session) =>
      started({ ...session, ipAddress: '192.0.2.1', expiresAt: new Date(Date.now() + 60_000).toISOString() }),
    ),
  );
  // two of each page: more than these find no room there at once, which is not what is asked
  const refreshed = sessions.filter((_, n) => n % 15 === 0);
  await report(
    stack,
    refreshed.map((session, n) =>
      event('session.refreshed', {
        ...session,
        occurredAt: new Date().toISOString(),
        expiresAt: new Date(Date.now() + 7_200_000 + n).toISOString(),
        ipAddress: '192.0.2.2',
        userAgent: 'another',
      }),
    ),
  );
  const { all, hot } = await eventually(updates, (told) => told.all >= refreshed.length);
  expect({ all, hot }).toEqual({ all: refreshed.length, hot: refreshed.length });
});

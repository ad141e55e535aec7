/** Whether connections lead to a server that can be written, as far as its own answers tell. */
import type pg from 'pg';
import { codeOf } from '../error-code.ts';

export interface WritableWatch {
  /** A connection was made. */
  connected: (client: pg.Client) => Promise<void>;
  failed(error: unknown): void;
  /** A connection that is not to be used again: another may lead to where the database can be written now. */
  isStale(client: object): boolean;
}

/** How long a connection to a read-only server serves what only reads, before another server is looked for. */
const LOOK_AGAIN_AFTER_MS = 1_000;

interface Known {
  madeAt: number;
  isReadOnly: boolean;
}

/**
 * After a failover the connections that are open lead to what was the primary, and each write through them would fail
 * for as long as they live. So with the first 25006 all that were made before are given up, and new ones are asked
 * whether they can be written. Where none can, they go on serving what only reads, and are given up in turn.
 */
export function createWritableWatch(onSuspicion: () => void): WritableWatch {
  const known = new WeakMap<object, Known>();
  let isSuspect = false;
  let givenUpBefore = -Infinity;
  return {
    async connected(client) {
      const madeAt = performance.now();
      const isReadOnly = isSuspect && (await saysReadOnly(client));
      if (!isReadOnly && madeAt >= givenUpBefore) isSuspect = false;
      known.set(client, { madeAt, isReadOnly });
    },
    failed(error) {
      // a server that stays read-only says so to every write: to look anew each time would only hurt what reads
      if (codeOf(error) !== '25006' || performance.now() - givenUpBefore < LOOK_AGAIN_AFTER_MS) return;
      isSuspect = true;
      givenUpBefore = performance.now();
      onSuspicion();
    },
    isStale(client) {
      const connection = known.get(client);
      if (connection === undefined) return false;
      return connection.isReadOnly
        ? performance.now() - connection.madeAt > LOOK_AGAIN_AFTER_MS
        : connection.madeAt < givenUpBefore;
    },
  };
}

async function saysReadOnly(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ read_only: boolean }>(
    `select current_setting('transaction_read_only') = 'on' as read_only`,
  );
  return rows[0]?.read_only === true;
}

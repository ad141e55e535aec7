/** What listeners are told by NOTIFY, apart from the transactions that it is about. */
import { type Kysely, sql } from 'kysely';

export type Channel = 'decisions' | 'termination_changes';
interface Notification {
  channel: Channel;
  payload: string;
}

export interface Notifier {
  /** Tells whoever listens, soon. Never throws: one that is lost is made good by the listeners' own looking. */
  tell: (channel: Channel, payloads: readonly string[]) => void;
  /** Resolves when all that was told is on its way. */
  idle(): Promise<void>;
}

/**
 * A NOTIFY inside a transaction makes its commit wait for the disk under a lock that every other notifying commit of the
 * cluster needs: the decisions of a burst would be written one after the other. By itself it writes nothing and waits for
 * nothing. What is told while one is under way goes together with the next.
 */
export function createNotifier(pool: Kysely<unknown>): Notifier {
  const waiting = new Map<string, Notification>();
  let sending: Promise<void> | undefined;
  const send = async () => {
    while (waiting.size > 0) {
      const notifications = [...waiting.values()];
      waiting.clear();
      await sql`select pg_notify(channel, payload) from unnest(${notifications.map(({ channel }) => channel)}::text[],
        ${notifications.map(({ payload }) => payload)}::text[]) as told (channel, payload)`
        .execute(pool)
        .catch(() => undefined);
    }
    sending = undefined;
  };
  return {
    tell(channel, payloads) {
      for (const payload of payloads) waiting.set(`${channel} ${payload}`, { channel, payload });
      if (waiting.size > 0) sending ??= send();
    },
    idle: async () => sending,
  };
}

const told = new WeakMap<Kysely<unknown>, Notification[]>();

/** Tells it once this transaction, one of `Database.transaction`, has committed; never where it does not. */
export function tellAfterCommit(transaction: Kysely<unknown>, channel: Channel, payload = ''): void {
  const notifications = told.get(transaction);
  if (notifications === undefined) throw new Error('only an open transaction tells something after its commit');
  notifications.push({ channel, payload });
}

/** Runs `work` in a transaction, and tells what it has to tell after the commit. */
export async function transactionThatTells<T>(
  pool: Kysely<unknown>,
  notifier: Notifier,
  work: (transaction: Kysely<unknown>) => Promise<T>,
): Promise<T> {
  const notifications: Notification[] = [];
  const result = await pool.transaction().execute((transaction) => {
    told.set(transaction, notifications);
    return work(transaction);
  });
  for (const { channel, payload } of notifications) notifier.tell(channel, [payload]);
  return result;
}

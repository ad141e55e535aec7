import { sql } from 'kysely';
import { type Database, row, rows } from '../database.ts';

export interface SlotAsk {
  /** A fresh UUID for each ask: what proves, later, that a slot is still one's own. */
  holder: string;
  organizationId: string;
}

export interface SlotGrant {
  holder: string;
  slot: number;
}

export interface SlotAnswer {
  grants: SlotGrant[];
  /** Slots that nobody held when the statement began. */
  free: number;
  /** More was due than could be locked: another process was quicker, and asking again at once is right. */
  raced: boolean;
}

export interface SlotLeases {
  /** Gives slots to those asks, in their order, that the rule entitles to one. One statement, but for missing rows. */
  lease(asks: readonly SlotAsk[]): Promise<SlotAnswer>;
  /** Frees a slot that is still the holder's own; one that another took over after its lease is left alone. */
  release(grant: SlotGrant): Promise<void>;
}

export interface SlotOptions {
  database: Pick<Database, 'pool'>;
  /** Calls in flight at most, over all processes. Rows of higher slots, from a larger setting, are not looked at. */
  concurrency: number;
  /** After this long a slot is free again whatever its holder does: longer than the longest call. */
  leaseMs: number;
}

/**
 * The slots as rows of `auth_module_slots`. The rule, for the parties that hold or ask for a slot now:
 * nobody holds more than `concurrency / parties`, at least one; and who holds one already leaves a quarter of the slots
 * free, so that who holds none gets one at once. Who would hold fewest comes first, then the order of the asks.
 * `concurrency` is never exceeded while leases last; a share can be, by as many slots as other processes ask for in
 * the same millisecond, until those calls end.
 */
export function createSlotLeases({ database, concurrency, leaseMs }: SlotOptions): SlotLeases {
  const reserved = concurrency < 2 ? 0 : Math.max(1, Math.floor(concurrency / 4));
  let ensuredAt = -Infinity;
  async function ensureSlots(): Promise<void> {
    await row(database.pool, ensureStatement(concurrency));
    ensuredAt = performance.now();
  }
  return {
    async lease(asks) {
      if (ensuredAt === -Infinity) await ensureSlots();
      const answers = await rows(database.pool, leaseStatement(asks, { concurrency, leaseMs, reserved }));
      const grants = answers.flatMap(({ holder, slot }) =>
        holder === null || slot === null ? [] : [{ holder, slot }],
      );
      const { free, due } = answers[0] ?? { free: 0, due: 0 };
      if (free === 0 && performance.now() - ensuredAt > ensureEveryMs) await ensureSlots();
      return { grants, free, raced: grants.length < due };
    },
    async release(grant) {
      await row(database.pool, releaseStatement(grant));
    },
  };
}

/** How often, at most, a process that finds nothing free makes sure that the rows exist at all. */
const ensureEveryMs = 1_000;

const ensureStatement = (concurrency: number) => sql`
  insert into auth_module_slots (slot) select n from generate_series(0, ${concurrency}::int - 1) as n
  where not exists (select 1 from auth_module_slots where slot = n) on conflict do nothing`;

const releaseStatement = ({ holder, slot }: SlotGrant) => sql`
  update auth_module_slots set organization_id = null, holder = null, leased_until = '-infinity'
  where slot = ${slot}::int and holder = ${holder}::uuid`;

interface LeaseRow {
  free: number;
  due: number;
  holder: string | null;
  slot: number | null;
}

/** By so much a lease of another process may be longer than ours. One that ends later still is from before the database's clock was set back. */
const LONGER = sql.raw(`interval '1 minute'`);
const latestEnd = (leaseMs: number) =>
  sql`current_instant() + make_interval(secs => ${leaseMs}::float8 / 1000) + ${LONGER}`;

/** `due` is decided on the snapshot and only that many rows are locked, so that one process never hides the others'. */
const leaseStatement = (
  asks: readonly SlotAsk[],
  rule: { concurrency: number; leaseMs: number; reserved: number },
) => sql<LeaseRow>`
  with asked as (
    select holder, organization_id, place, row_number() over (partition by organization_id order by place) as nth
    from unnest(${asks.map((ask) => ask.holder)}::uuid[], ${asks.map((ask) => ask.organizationId)}::text[])
      with ordinality as ask (holder, organization_id, place)
  ), known as materialized (
    select organization_id, leased_until > current_instant() and leased_until <= ${latestEnd(rule.leaseMs)} as leased from auth_module_slots where slot < ${rule.concurrency}::int
  ), held as (
    select organization_id, count(*) as slots from known where leased group by organization_id
  ), slots as (
    select (select count(*) from known where not leased) as free,
      greatest(1, ${rule.concurrency}::int / (select count(*) from (select organization_id from asked union select organization_id from held))) as share
  ), entitled as (
    select asked.holder, asked.organization_id, coalesce(held.slots, 0) + nth as would_hold,
      row_number() over (order by coalesce(held.slots, 0) + nth, place) as rank
    from asked left join held using (organization_id)
    where coalesce(held.slots, 0) + nth <= (select share from slots)
  ), due as (
    select holder, organization_id, rank from entitled, slots
    where rank <= slots.free - (case when would_hold = 1 then 0 else ${rule.reserved}::int end)
  ), opened as materialized (
    select slot from auth_module_slots where slot < ${rule.concurrency}::int and (leased_until <= current_instant() or leased_until > ${latestEnd(rule.leaseMs)})
    order by slot limit (select count(*) from due) for update skip locked
  ), leased as (
    update auth_module_slots as lease set organization_id = due.organization_id, holder = due.holder,
      leased_until = current_instant() + make_interval(secs => ${rule.leaseMs}::float8 / 1000)
    from due join (select slot, row_number() over (order by slot) as rank from opened) as opened using (rank)
    where lease.slot = opened.slot
    returning lease.holder, lease.slot
  )
  select slots.free::int, (select count(*) from due)::int as due, leased.holder, leased.slot from slots left join leased on true`;

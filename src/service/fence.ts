import { type RawBuilder, sql } from 'kysely';

/** The fence of the termination `t`, as its columns; or the same as parameters. */
export interface Fence {
  cutoff: RawBuilder<unknown>;
  holdsUntil: RawBuilder<unknown>;
  decidedOrder: RawBuilder<unknown>;
}
const ofTermination: Fence = {
  cutoff: sql.ref('t.cutoff'),
  holdsUntil: sql.ref('t.holds_until'),
  decidedOrder: sql.ref('t.decided_order'),
};

/** What a fence looks at: the session `s`. */
const ofSession = sql.raw('s.fenced_from, s.started_at, s.recorded_at, s.recorded_order');
/** Or the session `p` that it was opened from; where that has no row, `s` stands for it. */
export const ofParent = sql.raw(
  ['fenced_from', 'started_at', 'recorded_at', 'recorded_order']
    .map((column) => `coalesce(p.${column}, s.${column})`)
    .join(', '),
);

/**
 * Whether a fence covers a session, kept or not, by the law of `session_states`: what was recorded when it was decided, by
 * the order of the two, and what started at or before its cutoff.
 */
export const fenceCovers = (fence: Fence = ofTermination, session: RawBuilder<unknown> = ofSession) =>
  sql<boolean>`fence_covers(${fence.cutoff}, ${fence.holdsUntil}, ${fence.decidedOrder}, ${session})`;

/** Until when a session started that has no row here and that the fence of `t` covers: its cutoff, unless the clock was ahead when it was decided. */
export const reach =
  'fence_reach(t.cutoff, t.holds_until, least(current_instant(), t.decided_at, t.completed_at, t.verified_at))';
export const reachOfFence = sql.raw<string>(reach);

/** For so long after the deciding process's own instant a fence holds where the database's clock was ahead. */
const GRACE_MS = 2_000;
/** By this process's own clock; asked for when the locks of the decision are held. */
export const holdsUntil = (): string => new Date(Date.now() + GRACE_MS).toISOString();

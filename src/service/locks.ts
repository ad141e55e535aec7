/** The named locks that decisions and endings meet at. Who decides holds them until its transaction ends. */
import { sql } from 'kysely';
import { rows, type Transaction } from '../database.ts';
import type { TerminationScope } from '../rules/termination.ts';

/** A lock by name (`pg_advisory_xact_lock`), held until the transaction ends. */
export interface NamedLock {
  name: readonly string[];
  shared: boolean;
}

export const scopeName = (organizationId: string, { kind, id }: TerminationScope) => [
  'termination',
  organizationId,
  kind,
  id,
];
/** Held alone by who records the end of a session that has no row: there is no row that could be locked. */
export const unknownEndName = (organizationId: string) => ['unknown-session-ended', organizationId];

/** Whoever ends everything of a user, or of an organization, holds that scope alone. */
export const endingsOf = (organizationId: string, userId: string): NamedLock[] => [
  { name: scopeName(organizationId, { kind: 'organization', id: organizationId }), shared: true },
  { name: scopeName(organizationId, { kind: 'user', id: userId }), shared: true },
  { name: unknownEndName(organizationId), shared: true },
];

export const grantsName = (organizationId: string) => ['grants', organizationId];

/** Takes the locks in one order, so that no two transactions wait for each other; what is wanted both ways is taken alone. */
export async function takeLocks(transaction: Transaction, locks: readonly NamedLock[]): Promise<void> {
  const wanted = new Map<string, boolean>();
  for (const { name, shared } of locks) {
    const key = JSON.stringify(name);
    wanted.set(key, shared && (wanted.get(key) ?? true));
  }
  if (wanted.size === 0) return;
  const ordered = [...wanted].toSorted(([a], [b]) => (a < b ? -1 : 1));
  await rows(
    transaction,
    sql`select case when shared then pg_advisory_xact_lock_shared(hashtextextended(name, 0)) else pg_advisory_xact_lock(hashtextextended(name, 0)) end
      from unnest(${ordered.map(([key]) => key)}::text[], ${ordered.map(([, shared]) => shared)}::boolean[]) as wanted (name, shared)`,
  );
}

/** Serializes the decisions about one scope until the transaction ends, for who decides without a caller. */
export const lockScope = (transaction: Transaction, organizationId: string, scope: TerminationScope): Promise<void> =>
  takeLocks(transaction, [{ name: scopeName(organizationId, scope), shared: false }]);

/** Serializes the decisions about one organization's grants, for who decides without a caller. Taken before any of its rows is locked. */
export const lockGrants = (transaction: Transaction, organizationId: string): Promise<void> =>
  takeLocks(transaction, [{ name: grantsName(organizationId), shared: false }]);

import { sql } from 'kysely';
import type { AuthModule } from '../../auth-module/auth-module.ts';
import { walkRefreshChains } from '../../auth-module/walk-refresh-chains.ts';
import { type Database, row } from '../../database.ts';
import type { GrantBooks } from './grant-books.ts';

export interface ChainQuestion {
  database: Database;
  authModule: AuthModule;
  books: GrantBooks;
  signal: AbortSignal;
}

/**
 * Asks the Auth Module whether a chain opened under the grant lives that no termination is killing already: also one that
 * no event ever told of, and one that was confirmed dead. Throws what the port throws.
 */
export async function findUnclaimedChain({ database, authModule, books, signal }: ChainQuestion): Promise<boolean> {
  const search = { organizationId: books.organizationId, supportAccessGrantId: books.id };
  for await (const alive of walkRefreshChains(authModule, search, signal)) {
    const chainIds = alive.map((chain) => chain.chainId);
    const unclaimed = await row(
      database.pool,
      sql`select 1 from unnest(${chainIds}::text[]) as alive(id) where not exists (
        select 1 from refresh_token_chains r where r.organization_id = ${books.organizationId} and r.id = alive.id and r.outcome = 'pending') limit 1`,
    );
    if (unclaimed !== undefined) return true;
  }
  return false;
}

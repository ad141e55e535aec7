import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, row } from '../database.ts';
import { codeOf } from '../error-code.ts';
import { hintOf } from './hints.ts';

const TRY_AGAIN_AFTER_MS = 5_000;

const byRole =
  'DATABASE_POOLED=1, and the role has no statement_timeout: without ops/pooled.sql a statement may run for ever';
const byPooler =
  'the settings of the connections did not reach the database: a pooler drops them. Set DATABASE_POOLED=1, and DATABASE_LISTEN_URL to the address of the database itself (docs/guides/postgresql.md)';

/**
 * Says once in the log where connections do not have the settings that the service counts on: a pooler refuses them, or
 * drops them without a word. Asks until the database answers, or until it is closed.
 */
export function warnOfLostSettings(database: Database, isPooled: boolean, logger: Logger): void {
  let refused: string | undefined;
  const ask = async () => {
    try {
      const found = await row<{ lost: boolean }>(
        database.pool,
        sql`select current_setting('statement_timeout') = '0' as lost`,
      );
      if (found?.lost === true) logger.warn(isPooled ? byRole : byPooler);
    } catch (error) {
      const hint = hintOf(error);
      if (hint !== undefined && hint !== refused)
        logger.warn({ error: codeOf(error), hint }, 'no connection to the database');
      refused = hint;
      if (!database.isClosed) setTimeout(() => void ask(), TRY_AGAIN_AFTER_MS).unref();
    }
  };
  void ask();
}

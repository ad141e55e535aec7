import type { Connection } from '@temporalio/client';
import { sql } from 'kysely';
import type { AuthModule } from './auth-module/auth-module.ts';
import { probeAuthModule } from './auth-module/probe-auth-module.ts';
import { type Database, row } from './database.ts';
import { codeOf } from './error-code.ts';

const READINESS_TIMEOUT_MS = 1_000;
type DependencyState = { status: 'up' | 'down'; detail?: string };

interface Dependencies {
  database: Database;
  connection: Connection;
  /** Temporal's. */
  namespace: string;
  authModule: AuthModule;
}

/** Names each dependency and its state; the API is ready for what it can do as long as the database answers. */
export const createApiReadiness = ({ database, connection, namespace, authModule }: Dependencies) => {
  const settle = async (check: () => Promise<unknown>): Promise<DependencyState> => {
    try {
      const answer = await Promise.race([check(), rejectAfter(READINESS_TIMEOUT_MS)]);
      return typeof answer === 'string' ? { status: 'down', detail: answer } : { status: 'up' };
    } catch (error) {
      return { status: 'down', detail: codeOf(error) };
    }
  };
  return async (): Promise<Record<'database' | 'temporal' | 'authModule', DependencyState>> => {
    const [databaseState, temporalState, authModuleState] = await Promise.all([
      settle(() => judgeDatabase(database)),
      settle(() =>
        connection.withDeadline(Date.now() + READINESS_TIMEOUT_MS, () =>
          connection.workflowService.describeNamespace({ namespace }),
        ),
      ),
      settle(() => probeAuthModule(authModule, AbortSignal.timeout(READINESS_TIMEOUT_MS))),
    ]);
    return { database: databaseState, temporal: temporalState, authModule: authModuleState };
  };
};

/** What is wrong with it, if anything: where it only reads, lists and checks go on, and nothing can be ended. */
async function judgeDatabase({ pool }: Database): Promise<'read-only' | undefined> {
  const found = await row<{ read_only: boolean }>(
    pool,
    sql`select current_setting('transaction_read_only') = 'on' as read_only, exists (select from organizations) as used`,
  );
  return found?.read_only === true ? 'read-only' : undefined;
}

const rejectAfter = (ms: number): Promise<never> =>
  new Promise((_, reject) => {
    setTimeout(reject, ms, new Error('timed out')).unref();
  });

import type { Client } from '@temporalio/client';
import type { SearchAttributePair } from '@temporalio/common';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { type Database, row, rows } from '../database.ts';
import { noTracing, type Tracing } from '../tracing/tracing.ts';
import {
  changed,
  grantWorkflowId,
  supportAccessGrantWorkflow,
  terminateSessionsWorkflow,
  terminationWorkflowId,
} from '../workflows/messages.ts';
import { isUnknownAttribute, organizationKey, scopeKey } from './search-attributes.ts';

export type DecisionKind = 'termination' | 'grant';
export interface Decision {
  kind: DecisionKind;
  id: string;
}
/** Tells the workflow of a decision to look at its row, starting it where there is none. False: it could not be told; the row still says so. */
export type Deliver = (decision: Decision) => Promise<boolean>;

export interface DeliverOptions {
  database: Database;
  client: Client;
  taskQueue: string;
  logger: Logger;
  /** Bound of one attempt; Temporal's own retries are inside it. */
  timeoutMs?: number;
  tracing?: Tracing;
}

interface Undelivered {
  organization_id: string;
  revision: number;
  scope: string;
}

const table = { termination: sql.table('terminations'), grant: sql.table('support_access_grants') };
const scopeColumn = {
  termination: sql.raw("scope_kind || ':' || scope_id"),
  grant: sql.raw("'grant:' || coalesce(user_id, '*')"),
};

/** Where the namespace does not know our search attributes, they are left out for this long: a worker creates them at its start. */
const WITHOUT_ATTRIBUTES_MS = 60_000;

/**
 * Signals-with-start, whether or not a workflow exists: a closed run never blocks it, and a second delivery changes
 * nothing. Then `delivered_revision` is written as the revision that was read before it was sent.
 */
export function createDeliver({
  database,
  client,
  taskQueue,
  logger,
  timeoutMs = 500,
  tracing = noTracing,
}: DeliverOptions): Deliver {
  let plainUntil = 0;
  const signal = async ({ kind, id }: Decision, pending: Undelivered, attributes: SearchAttributePair[]) => {
    const workflow = kind === 'termination' ? terminateSessionsWorkflow : supportAccessGrantWorkflow;
    const facts = { organizationId: pending.organization_id, [`${kind}Id`]: id };
    await tracing.inSpan({ name: `SignalWithStartWorkflow:${workflow}`, kind: 'client', facts }, () =>
      client.withDeadline(Date.now() + timeoutMs, () =>
        client.workflow.signalWithStart(workflow, {
          workflowId: kind === 'termination' ? terminationWorkflowId(id) : grantWorkflowId(id),
          taskQueue,
          signal: changed,
          args: [kind === 'termination' ? { terminationId: id } : { grantId: id }],
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          typedSearchAttributes: attributes,
          staticSummary:
            kind === 'termination' ? `end sessions: ${pending.scope.split(':', 1)[0]}` : 'support access grant',
          priority: { priorityKey: pending.scope.startsWith('organization:') ? 4 : 2 },
        }),
      ),
    );
  };
  return async (decision) => {
    try {
      const pending = await row<Undelivered>(
        database.pool,
        sql`select organization_id, revision, ${scopeColumn[decision.kind]} as scope from ${table[decision.kind]} where id = ${decision.id}::uuid`,
      );
      if (pending === undefined) return false;
      try {
        await signal(decision, pending, Date.now() < plainUntil ? [] : attributesOf(pending));
      } catch (error) {
        if (!isUnknownAttribute(error)) throw error;
        plainUntil = Date.now() + WITHOUT_ATTRIBUTES_MS;
        await signal(decision, pending, []);
      }
      await rows(
        database.pool,
        sql`update ${table[decision.kind]} set delivered_revision = greatest(delivered_revision, ${pending.revision}::int),
          dispatch_after = greatest(dispatch_after, current_instant() + interval '1 minute'), dispatch_count = case when delivered_revision < revision then 0 else dispatch_count end
          where id = ${decision.id}::uuid`,
      );
      return true;
    } catch (error) {
      logger.warn(
        { [`${decision.kind}Id`]: decision.id, error: error instanceof Error ? error.name : 'unknown' },
        'a decision could not be delivered yet',
      );
      return false;
    }
  };
}

const attributesOf = (pending: Undelivered): SearchAttributePair[] => [
  { key: organizationKey, value: pending.organization_id },
  { key: scopeKey, value: pending.scope },
];

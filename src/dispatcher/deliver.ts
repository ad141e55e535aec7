import type { Client } from '@temporalio/client';
import type { SearchAttributePair } from '@temporalio/common';
import { sql } from 'kysely';
import { type Database, rows } from '../database.ts';
import { noTracing, type Tracing } from '../tracing/tracing.ts';
import {
  changed,
  grantWorkflowId,
  supportAccessGrantWorkflow,
  terminateSessionsWorkflow,
  terminationWorkflowId,
} from '../workflows/messages.ts';
import { isNamespaceMissing, isUnknownAttribute } from './engine-failure.ts';
import type { ReportFailure } from './report-failures.ts';
import { attributesOf } from './search-attributes.ts';
import type { TemporalSetup } from './temporal-setup.ts';

export type DecisionKind = 'termination' | 'grant';
/** A decision as whoever has read its row last knows it. */
export interface Decision {
  kind: DecisionKind;
  id: string;
  organizationId: string;
  revision: number;
  /** As operators filter by it: the kind and the id of what it is about. */
  scope: string;
}
/** Tells the workflow of a decision to look at its row, starting it where there is none. False: it could not be told; the row still says so. */
export type Deliver = (decision: Decision) => Promise<boolean>;

export interface DeliverOptions {
  database: Database;
  client: Client;
  taskQueue: string;
  /** Asked to make again what Temporal turns out not to have. */
  setup: Pick<TemporalSetup, 'mend'>;
  reportFailure: ReportFailure;
  /** Bound of one attempt; Temporal's own retries are inside it. */
  timeoutMs?: number;
  tracing?: Tracing;
}

const table = { termination: sql.table('terminations'), grant: sql.table('support_access_grants') };

/** Where the namespace does not know our search attributes, they are left out for this long, or until they have been made. */
const WITHOUT_ATTRIBUTES_MS = 60_000;

/**
 * Signals-with-start, whether or not a workflow exists: a closed run never blocks it, and a second delivery changes
 * nothing. Then `delivered_revision` is written as the revision that was known before it was sent: a decision that came
 * in between is delivered again. When to look next is set by the latest decision alone: of an earlier one that arrives late nothing is put off.
 */
export function createDeliver({
  database,
  client,
  taskQueue,
  setup,
  reportFailure,
  timeoutMs = 500,
  tracing = noTracing,
}: DeliverOptions): Deliver {
  let plainUntil = 0;
  const signal = async ({ kind, id, organizationId, scope }: Decision, attributes: SearchAttributePair[]) => {
    const workflow = kind === 'termination' ? terminateSessionsWorkflow : supportAccessGrantWorkflow;
    const facts = { organizationId, [`${kind}Id`]: id };
    await tracing.inSpan({ name: `SignalWithStartWorkflow:${workflow}`, kind: 'client', facts }, () =>
      client.withDeadline(Date.now() + timeoutMs, () =>
        client.workflow.signalWithStart(workflow, {
          workflowId: kind === 'termination' ? terminationWorkflowId(id) : grantWorkflowId(id),
          taskQueue,
          signal: changed,
          args: [kind === 'termination' ? { terminationId: id } : { grantId: id }],
          workflowIdReusePolicy: 'ALLOW_DUPLICATE',
          typedSearchAttributes: attributes,
          staticSummary: kind === 'termination' ? `end sessions: ${scope.split(':', 1)[0]}` : 'support access grant',
          priority: { priorityKey: scope.startsWith('organization:') ? 4 : 2 },
        }),
      ),
    );
  };
  return async (decision) => {
    try {
      try {
        await signal(decision, Date.now() < plainUntil ? [] : attributesOf(decision));
      } catch (error) {
        if (!isUnknownAttribute(error)) throw error;
        plainUntil = Date.now() + WITHOUT_ATTRIBUTES_MS;
        void setup.mend().then((isThere) => isThere && (plainUntil = 0));
        await signal(decision, []);
      }
      await rows(
        database.pool,
        sql`update ${table[decision.kind]} set delivered_revision = greatest(delivered_revision, ${decision.revision}::int),
          dispatch_after = case when revision = ${decision.revision}::int then greatest(dispatch_after, current_instant() + interval '1 minute') else dispatch_after end,
          dispatch_count = case when revision = ${decision.revision}::int and delivered_revision < revision then 0 else dispatch_count end
          where id = ${decision.id}::uuid`,
      );
      return true;
    } catch (error) {
      if (isNamespaceMissing(error)) void setup.mend();
      reportFailure('deliver', error, { [`${decision.kind}Id`]: decision.id });
      return false;
    }
  };
}

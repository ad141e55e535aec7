/** Every plan by which PostgreSQL has run a statement of the service's own, with the rows that it really read. */
import pg from 'pg';
import type { TestDatabase } from '../harness/database.ts';

export interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Join Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  Plans?: PlanNode[];
}
export interface RecordedPlan {
  'Query Text': string;
  Plan: PlanNode;
}

const settings = {
  // PostgreSQL's own module: it tells the plan of each statement, once it has run, to who has sent it
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_buffers': 'on',
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
  'auto_explain.log_level': 'notice',
};

/** From now on new connections to the database are told their plans. */
export async function tellPlans({ url, query }: TestDatabase): Promise<void> {
  const name = new URL(url).pathname.slice(1);
  for (const [setting, value] of Object.entries(settings))
    await query(`alter database ${name} set ${setting} = '${value}'`);
}

const ofTheService = /^session-management-/;

/** Keeps the plans of this process's connections whose application name is the service's. To be called before they are made. */
export function recordPlans(): RecordedPlan[] {
  const plans: RecordedPlan[] = [];
  const listening = new WeakSet<pg.Client>();
  const query = pg.Client.prototype.query as (...given: unknown[]) => unknown;
  function recorded(this: pg.Client, ...given: unknown[]): unknown {
    const { connectionParameters } = this as unknown as { connectionParameters: { application_name?: string } };
    if (!listening.has(this) && ofTheService.test(connectionParameters.application_name ?? '')) {
      listening.add(this);
      this.on('notice', ({ message = '' }) => {
        const json = /plan:\n(\{.*)$/s.exec(message)?.[1];
        if (json !== undefined) plans.push(JSON.parse(json) as RecordedPlan);
      });
    }
    return query.apply(this, given);
  }
  Object.assign(pg.Client.prototype, { query: recorded });
  return plans;
}

import type { PlanNode, RecordedPlan } from './record-plans.ts';

/** Rows that a node may read in a scenario of a handful of each thing. */
const MOST_ROWS = 200;
/** Pages of 8 kB that a whole statement may touch: what the rows do not show, as a walk over an index past other keys. */
const MOST_PAGES = 600;

interface Allowance {
  statement: RegExp;
  rows: number;
  pages: number;
  why: string;
}
/** Statements that may read more, by how much, and why. */
const allowed: Allowance[] = [
  {
    statement: /^select organization_id as "organizationId", id as "sessionId" from sessions|^with due as materialized/,
    rows: 2_000,
    pages: 20_000,
    why: 'retention walks over all sessions, 2,000 in a step, and looks up for each what may still need it',
  },
  {
    statement: /^with clock as materialized \(select now, now - interval '1 hour'/,
    rows: 2_000,
    pages: 3_000,
    why: 'the marking of what has expired walks over the index of active sessions, 2,000 in a step',
  },
  {
    statement: /as terminations_running/,
    rows: 200_000,
    pages: 50_000,
    why: 'the backlog counts what is open, once for each time that somebody asks for the metrics',
  },
];

const below = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(below)];

/** What a node has read of its table, whether or not it passed it on. */
const rowsRead = (node: PlanNode): number =>
  Math.round(
    node['Actual Loops'] *
      (node['Actual Rows'] +
        (node['Rows Removed by Filter'] ?? 0) +
        (node['Rows Removed by Join Filter'] ?? 0) +
        (node['Rows Removed by Index Recheck'] ?? 0)),
  );

/** Why a plan reads more than it may; undefined where it does not. */
export function readsTooMuch({ Plan, 'Query Text': text }: RecordedPlan): string | undefined {
  const most = allowed.find(({ statement }) => statement.test(text)) ?? { rows: MOST_ROWS, pages: MOST_PAGES };
  const worst = below(Plan).toSorted((a, b) => rowsRead(b) - rowsRead(a))[0];
  const pages = Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks'];
  const start = text.replaceAll(/\s+/g, ' ').slice(0, 200);
  if (worst !== undefined && rowsRead(worst) > most.rows) {
    const of = [worst['Relation Name'], worst['Index Name']].filter(Boolean).join(' by ');
    return `${rowsRead(worst)} rows, ${worst['Node Type']} ${of}: ${start}`;
  }
  return pages > most.pages ? `${pages} pages: ${start}` : undefined;
}

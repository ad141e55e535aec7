/**
 * Loaded into every process of a run by `NODE_OPTIONS=--import`, it writes each distinct statement that the service sends
 * to the file `STATEMENTS_FILE`, one JSON text a line. What tests, migrations and the reference Auth Module send is not
 * the service's: they have another application name.
 */
import { appendFileSync } from 'node:fs';
import pg from 'pg';

const file = process.env['STATEMENTS_FILE'];
const seen = new Set<string>();
const ofTheService = /^session-management-(?!migrate)/;
/** What PostgreSQL can prepare: neither `begin` nor `listen`. */
const isPrepared = /^[\s(]*(select|insert|update|delete|with)\b/i;

function record(client: pg.Client, statement: unknown): void {
  const { connectionParameters } = client as unknown as { connectionParameters: { application_name?: string } };
  const text = typeof statement === 'string' ? statement : (statement as { text?: unknown } | undefined)?.text;
  if (file === undefined || typeof text !== 'string' || seen.has(text) || !isPrepared.test(text)) return;
  if (!ofTheService.test(connectionParameters.application_name ?? '')) return;
  seen.add(text);
  appendFileSync(file, `${JSON.stringify(text)}\n`);
}

const query = pg.Client.prototype.query as (...given: unknown[]) => unknown;
function recorded(this: pg.Client, ...given: unknown[]): unknown {
  record(this, given[0]);
  return query.apply(this, given);
}
Object.assign(pg.Client.prototype, { query: recorded });

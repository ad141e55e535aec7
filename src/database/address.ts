import type { DatabaseOptions } from '../database.ts';

/** Where the database is and what stands before it. */
export type DatabaseAddress = Pick<DatabaseOptions, 'url' | 'environment' | 'isPooled' | 'listenUrl'>;

/** For the commands, which need no more of the environment. Throws where `DATABASE_URL` is missing. */
export function databaseAddress(environment: NodeJS.ProcessEnv): DatabaseAddress {
  const url = environment['DATABASE_URL'];
  if (!url) throw new Error('DATABASE_URL: is required');
  return {
    url,
    environment,
    isPooled: environment['DATABASE_POOLED'] === '1',
    listenUrl: environment['DATABASE_LISTEN_URL'] || undefined,
  };
}

/** Past the pooler, where a way is known: for what changes the schema, a pooler only stands in the way. */
export const directAddress = ({ listenUrl, ...address }: DatabaseAddress): DatabaseAddress =>
  listenUrl === undefined ? address : { ...address, url: listenUrl, isPooled: false };

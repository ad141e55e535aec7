import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { openDatabase, row } from '../../src/database.ts';
import { createConnector } from '../../src/database/connector.ts';
import { readConnection } from '../../src/database/connection-settings.ts';
import { sql } from 'kysely';
import { useOwnPostgres } from '../harness/own-postgres.ts';

/** A server that only reads, at an IPv6 address and a Unix socket and nowhere else. */
let socketDirectory = '';
const own = useOwnPostgres({
  settings: async (directory) => {
    socketDirectory = directory;
    return Promise.resolve({ listen_addresses: '::1', unix_socket_directories: join(directory, 'sockets') });
  },
});

describe('what is said of the database and not understood', () => {
  const problemsOf = (environment: NodeJS.ProcessEnv): string => {
    try {
      loadConfig(environment);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
    return '';
  };
  it.each([
    ['somewhere', 'must be postgres://'],
    ['postgres://db/x?sslmode=strict', 'sslmode: Invalid option'],
    ['postgres://db/x?sslcompresion=0', 'sslcompresion: is not understood'],
    ['postgres://db/x?statement_timeout=5', 'statement_timeout: is not understood'],
    ['postgres://db/x?sslmode=verify-full', 'sslrootcert: is required'],
    ['postgres://db/x?sslmode=verify-ca&sslrootcert=/nowhere/ca.crt', 'sslrootcert: cannot be read (ENOENT)'],
    [`postgres://db/x?sslmode=verify-ca&sslrootcert=${import.meta.filename}`, 'sslrootcert: cannot be used'],
    ['postgres://db/x?sslrootcert=system&sslmode=require', 'sslmode: must be verify-full'],
    ['postgres://db/x?sslkey=/nowhere', 'sslcert, sslkey: one needs the other'],
    ['postgres://a,b,c:1,2/x', 'must be postgres://'],
    ['postgres://a:1,b:99999/x', 'port: must be 1 to 65535'],
    ['postgres://a,b/x?port=1,2,3', 'port: there must be one, or one for each host'],
    ['postgres://db/x?target_session_attrs=standby', 'this service writes'],
    ['postgres://db/x?channel_binding=require', 'channel_binding: only disable or prefer is supported'],
    ['postgres://user:100%@db/x', 'must be postgres://'],
  ])('is a problem at start: %s', (DATABASE_URL, problem) => {
    expect(problemsOf({ DATABASE_URL })).toContain(`DATABASE_URL: ${problem}`);
  });

  it('is a problem too where a variable of libpq says it', () => {
    expect(problemsOf({ DATABASE_URL: 'postgres://db/x', PGSSLCRLDIR: '/x' })).toContain('sslcrldir: is not understood');
    expect(problemsOf({ DATABASE_URL: 'postgres://db/x', PGSERVICE: 'x' })).toContain('service: is not understood');
  });

  it('never quotes a password, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8, unit: 'grapheme' }), (password) => {
        for (const DATABASE_URL of [`postgres://user:${password}@db/x?y=1`, `postgres://db/x?password=${password}&y=1`, `${password}://`])
          expect(problemsOf({ DATABASE_URL }).split('\n').filter((line) => line.includes('DATABASE_URL')).join('\n')).not.toContain(password);
      }),
    );
  });

  it('of what is understood nothing is lost, whatever characters it has', () => {
    fc.assert(
      fc.property(fc.record({ user: fc.string({ minLength: 1 }), password: fc.string({ minLength: 1 }), database: fc.string({ minLength: 1 }), applicationName: fc.string({ minLength: 1 }) }), (said) => {
        const [user, password, database, name] = Object.values(said).map(encodeURIComponent);
        const { settings } = readConnection(`postgres://${user}:${password}@h/${database}?application_name=${name}`, {});
        expect(settings).toMatchObject(said);
      }),
    );
  });
});

it.each([
  ['postgres://db.example/x', true],
  ['postgres://db.example/x?sslmode=prefer', false],
  ['postgres://localhost,db.example/x', true],
  ['postgres://127.0.0.1/x', false],
  ['postgres://[::1]/x', false],
  ['postgres://%2Fvar%2Frun/x', false],
])('who says no sslmode for another machine is warned: %s', (url, isWarned) => {
  expect(createConnector({ url, environment: {} }).warning !== undefined).toBe(isWarned);
});

describe('one address with', () => {
  let url = new URL('postgres://x');
  beforeAll(async () => {
    const { DATABASE_URL } = await own.environment();
    url = new URL(DATABASE_URL);
  });
  const whoAnswers = async (address: string) => {
    const client = await createConnector({ url: address, environment: {} }).connect({ connectionTimeoutMillis: 2_000 });
    const { rows } = await client.query<{ port: string }>(`select current_setting('port') as port`);
    await client.end();
    return Number(rows[0]?.port);
  };

  it('an IPv6 host', async () => {
    expect(await whoAnswers(url.href)).toBe(Number(url.port));
  });
  void [freePort, openDatabase, row, sql, inject, afterAll, socketDirectory, whoAnswers];
});

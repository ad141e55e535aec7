import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../local/ports.ts';
import { giveToServer } from '../../local/postgres/account.ts';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { openDatabase, row } from '../../src/database.ts';
import { createConnector } from '../../src/database/connector.ts';
import { readConnection } from '../../src/database/connection-settings.ts';
import { createRoutes } from '../../src/database/routes.ts';
import { tlsOptions } from '../../src/database/tls.ts';
import { createAuthority } from '../harness/certificates.ts';
import { useOwnPostgres } from '../harness/own-postgres.ts';

let sockets = '';
const scratch = mkdtempSync(join(tmpdir(), 'session-management-addresses-'));
const rootCertificates = join(scratch, 'root.crt');
beforeAll(async () => writeFileSync(rootCertificates, (await createAuthority('any')).certificate));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const own = useOwnPostgres({
  settings: (directory) => {
    sockets = join(directory, 'sockets');
    mkdirSync(sockets);
    giveToServer(sockets);
    return Promise.resolve({ listen_addresses: '127.0.0.1,::1', unix_socket_directories: sockets });
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
    ['postgres://a:b:c/x', 'must be postgres://'],
    ['postgres://a:1,b:99999/x', 'port: must be 1 to 65535'],
    ['postgres://a,b/x?port=1,2,3', 'port: there must be one, or one for each host'],
    ['postgres://db/x?target_session_attrs=standby', 'target_session_attrs: must be any, read-write or primary'],
    ['postgres://db/x?channel_binding=require', 'channel_binding: only disable or prefer is supported'],
    ['postgres://user:100%@db/x', 'must be postgres://'],
  ])('is a problem at start: %s', (DATABASE_URL, problem) => {
    expect(problemsOf({ DATABASE_URL })).toContain(`DATABASE_URL: ${problem}`);
  });

  it('is a problem too where a variable of libpq says it', () => {
    expect(problemsOf({ DATABASE_URL: 'postgres://db/x', PGSSLCRLDIR: '/x' })).toContain(
      'sslcrldir: is not understood',
    );
    expect(problemsOf({ DATABASE_URL: 'postgres://db/x', PGSERVICE: 'x' })).toContain('service: is not understood');
  });

  it('never quotes a password, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8, unit: 'grapheme' }), (password) => {
        for (const DATABASE_URL of [
          `postgres://user:${password}@db/x?y=1`,
          `postgres://db/x?password=${password}&y=1`,
          `${password}://`,
        ])
          expect(
            problemsOf({ DATABASE_URL })
              .split('\n')
              .filter((line) => line.includes('DATABASE_URL'))
              .join('\n'),
          ).not.toContain(password);
      }),
    );
  });

  it('of what is understood nothing is lost, whatever characters it has', () => {
    fc.assert(
      fc.property(
        fc.record({
          user: fc.string({ minLength: 1 }),
          password: fc.string({ minLength: 1 }),
          database: fc.string({ minLength: 1 }),
          applicationName: fc.string({ minLength: 1 }),
        }),
        (said) => {
          const [user, password, database, name] = Object.values(said).map(encodeURIComponent);
          const { settings } = readConnection(
            `postgres://${user}:${password}@h/${database}?application_name=${name}`,
            {},
          );
          expect(settings).toMatchObject(said);
        },
      ),
    );
  });
});

it('who demands that the server is verified gets no connection without it, whatever else is said', () => {
  const sslrootcert = fc.constantFrom('system', rootCertificates);
  const others = fc.record(
    {
      target_session_attrs: fc.constantFrom('any', 'read-write', 'primary'),
      sslnegotiation: fc.constantFrom('postgres', 'direct'),
      ssl: fc.constant('true'),
      application_name: fc.string({ minLength: 1 }),
      options: fc.string({ minLength: 1 }),
      uselibpqcompat: fc.constant('true'),
    },
    { requiredKeys: [] },
  );
  const hosts = fc.uniqueArray(fc.constantFrom('a.example', '192.0.2.1', '[2001:db8::1]'), { minLength: 1 });
  fc.assert(
    fc.property(fc.constantFrom('verify-ca', 'verify-full'), sslrootcert, others, hosts, (sslmode, ca, said, names) => {
      const query = new URLSearchParams({ ...said, sslmode, sslrootcert: ca }).toString().replaceAll('+', '%20');
      const { settings, problems } = readConnection(`postgres://${names.join(',')}/x?${query}`, {});
      expect(settings === undefined).toBe(problems.length > 0);
      if (settings === undefined) return;
      const routes = createRoutes(settings);
      for (let n = 0; n < routes.count; n += 1) {
        const route = routes.current();
        expect(route.isEncrypted).toBe(true);
        const { rejectUnauthorized, checkServerIdentity } = tlsOptions(settings, route.host);
        expect(rejectUnauthorized).toBe(true);
        const stranger = { subject: { CN: 'localhost' }, subjectaltname: 'DNS:localhost' } as PeerCertificate;
        if (sslmode === 'verify-full') expect(checkServerIdentity?.('localhost', stranger)).toBeInstanceOf(Error);
        routes.failed(route, new Error('The server does not support SSL connections'));
      }
    }),
  );
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

describe('a database', () => {
  let url = new URL('postgres://x');
  beforeAll(async () => {
    const { DATABASE_URL } = await own.environment();
    url = new URL(DATABASE_URL);
  });
  const seen = async (address: string, environment: NodeJS.ProcessEnv = {}) => {
    const connector = createConnector({ url: address, environment });
    const client = await connector.connect({ connectionTimeoutMillis: 2_000, application_name: 'by default' });
    const { rows } = await client.query<{ host: string | null; name: string; jit: string }>(
      `select host(inet_server_addr()) as host, current_setting('application_name') as name, current_setting('jit') as jit`,
    );
    await client.end();
    return rows[0];
  };
  const login = () => `${url.username}:${url.password}`;

  it('at an IPv6 address is reached', async () => {
    expect(await seen(`postgres://${login()}@[::1]:${url.port}/own`)).toMatchObject({ host: '::1' });
  });

  it('at a Unix socket is reached, in both ways of writing it', async () => {
    const directory = encodeURIComponent(sockets);
    expect(await seen(`postgres://${login()}@${directory}:${url.port}/own`)).toMatchObject({ host: null });
    expect(await seen(`postgres://${login()}@/own?host=${directory}&port=${url.port}`)).toMatchObject({ host: null });
  });

  it('is reached by the first of its hosts that answers, at once and by everybody', async () => {
    const dead = await freePort();
    const hosts = `127.0.0.1:${dead},nowhere.invalid:5432,[::1]:${url.port}`;
    expect(await seen(`postgres://${login()}@${hosts}/own`)).toMatchObject({ host: '::1' });
    const database = await openDatabase({ url: `postgres://${login()}@${hosts}/own`, applicationName: 'several' });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        row<{ host: string }>(database.pool, sql`select host(inet_server_addr()) as host`),
      ),
    );
    expect(new Set(answers.map((answer) => answer?.host))).toEqual(new Set(['::1']));
    await database.close();
  });

  it('is told the name and the options that the operator chose', async () => {
    expect(await seen(url.href)).toMatchObject({ name: 'by default', jit: 'on' });
    expect(await seen(`${url.href}?application_name=mine&options=-c%20jit%3Doff`)).toMatchObject({
      name: 'mine',
      jit: 'off',
    });
    expect(await seen(url.href, { PGAPPNAME: 'theirs', PGOPTIONS: '-c jit=off' })).toMatchObject({
      name: 'theirs',
      jit: 'off',
    });
  });

  it('gets its password from PGPASSWORD where the address has none', async () => {
    const PGPASSWORD = decodeURIComponent(url.password);
    expect(await seen(`postgres://postgres@127.0.0.1:${url.port}/own`, { PGPASSWORD })).toMatchObject({
      host: '127.0.0.1',
    });
  });

  it('that is away fails every connection within its time-out', async () => {
    const startedAt = performance.now();
    await expect(seen(`postgres://${login()}@192.0.2.1:5432/own?connect_timeout=1`)).rejects.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

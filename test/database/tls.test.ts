import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createConnector } from '../../src/database/connector.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { signIn, terminate, untilVerified } from '../harness/terminations.ts';
import { through, useProcesses } from '../operations/use-processes.ts';
import { useTlsPostgres } from './tls-postgres.ts';

const tls = useTlsPostgres();
const processes = useProcesses({ VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });

beforeAll(async () => {
  const admin = await connect(tls.url('127.0.0.1'));
  await admin.query('create role certified login superuser');
  await admin.query(`create role encrypted login superuser password 'secret'`);
  await admin.end();
});

const connect = (url: string, environment: NodeJS.ProcessEnv = {}) =>
  createConnector({ url, environment }).connect({ connectionTimeoutMillis: 5_000 });

/** How a connection came about: whether encrypted, or in which words it was refused. */
async function attempt(url: string, environment: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const client = await connect(url, environment);
    const { rows } = await client.query<{ ssl: boolean }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    await client.end();
    return rows[0]?.ssl === true ? 'encrypted' : 'plain';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const unsigned = expect.stringMatching(
  /self-signed certificate in certificate chain|unable to verify the first certificate/,
);
const misnamed = expect.stringMatching(/does not match certificate/);

describe('a server with a certificate for localhost, signed by our authority', () => {
  const modes: [mode: string, host: string, ca: 'authority' | 'otherAuthority' | undefined, outcome: unknown][] = [
    ['disable', 'localhost', undefined, 'plain'],
    ['allow', 'localhost', undefined, 'plain'],
    ['prefer', 'localhost', undefined, 'encrypted'],
    ['prefer', 'localhost', 'otherAuthority', 'encrypted'],
    ['require', '127.0.0.1', undefined, 'encrypted'],
    ['require', '127.0.0.1', 'authority', 'encrypted'],
    ['require', 'localhost', 'otherAuthority', unsigned],
    ['no-verify', '127.0.0.1', 'otherAuthority', 'encrypted'],
    ['verify-ca', '127.0.0.1', 'authority', 'encrypted'],
    ['verify-ca', 'localhost', 'otherAuthority', unsigned],
    ['verify-full', 'localhost', 'authority', 'encrypted'],
    ['verify-full', 'localhost', 'otherAuthority', unsigned],
    ['verify-full', '127.0.0.1', 'authority', misnamed],
  ];
  it.each(modes)('sslmode=%s to %s with %s is as libpq has it', async (sslmode, host, ca, outcome) => {
    const parameters: Record<string, string> = ca === undefined ? { sslmode } : { sslmode, sslrootcert: tls.files[ca] };
    expect(await attempt(tls.url(host, parameters))).toEqual(outcome);
  });

  it('sslmode that nobody said is prefer', async () => {
    expect(await attempt(tls.url('localhost'))).toBe('encrypted');
  });

  it('what the variables of libpq say counts where the address says nothing', async () => {
    const PGSSLROOTCERT = tls.files.authority;
    const environment = { PGSSLMODE: 'verify-full', PGSSLROOTCERT };
    expect(await attempt(tls.url('127.0.0.1'), environment)).toEqual(misnamed);
    expect(await attempt(tls.url('localhost'), environment)).toBe('encrypted');
    expect(await attempt(tls.url('127.0.0.1', { sslmode: 'disable' }), environment)).toBe('plain');
  });

  it('a role that may come only encrypted is let in by allow, as by libpq', async () => {
    const url = new URL(tls.url('localhost', { sslmode: 'allow' }, 'encrypted'));
    url.password = 'secret';
    expect(await attempt(url.href)).toBe('encrypted');
    url.search = '?sslmode=disable';
    expect(await attempt(url.href)).toContain('pg_hba.conf rejects connection');
  });

  it('a role that a certificate stands for comes in by it, and by nothing else', async () => {
    const { authority: sslrootcert, certificate: sslcert, key: sslkey } = tls.files;
    const verified = { sslmode: 'verify-full', sslrootcert };
    expect(await attempt(tls.url('localhost', { ...verified, sslcert, sslkey }, 'certified'))).toBe('encrypted');
    expect(await attempt(tls.url('localhost', verified, 'certified'), { PGSSLCERT: sslcert, PGSSLKEY: sslkey })).toBe(
      'encrypted',
    );
    expect(await attempt(tls.url('localhost', verified, 'certified'))).toContain('certificate');
  });

  it('TLS from the first byte is spoken where it is asked for', async () => {
    expect(await attempt(tls.url('localhost', { sslmode: 'require', sslnegotiation: 'direct' }))).toBe('encrypted');
  });
});

describe('a server without TLS', () => {
  it.each([
    ['disable', 'plain'],
    ['allow', 'plain'],
    ['prefer', 'plain'],
    ['require', expect.stringContaining('does not support SSL')],
    ['verify-full', expect.stringContaining('does not support SSL')],
  ])('sslmode=%s', async (sslmode, outcome) => {
    const sslrootcert = sslmode === 'verify-full' ? `&sslrootcert=${tls.files.authority}` : '';
    expect(await attempt(`${inject('postgresUrl')}?sslmode=${sslmode}${sslrootcert}`)).toEqual(outcome);
  });
});

const migrateFile = fileURLToPath(new URL('../../src/migrate.ts', import.meta.url));
const migrate = (url: string) =>
  spawnSync(process.execPath, [migrateFile], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], DATABASE_URL: url },
  });

it(
  'every connection that API, worker and migrate ever make is encrypted, probes and listeners too',
  { timeout: 120_000 },
  async () => {
    const url = tls.url('localhost', { sslmode: 'verify-full', sslrootcert: tls.files.authority });
    const [before] = [tls.server.log().length];
    expect(migrate(url)).toMatchObject({ status: 0 });
    const [api, worker] = await Promise.all([
      processes.api({ DATABASE_URL: url }),
      processes.worker({ DATABASE_URL: url }),
    ]);
    const stack = through(processes, api);
    await signIn(stack, { organizationId: 'tls', userId: 'grace', sessionId: 's1', chainIds: ['c1'] });
    const { body } = await terminate(stack, 'tls', 'users/grace/sessions/terminate');
    await untilVerified(stack, body, 30_000);
    await probed(api.url);
    const made = tls.server
      .log()
      .slice(before)
      .split('\n')
      .filter((line) => line.includes('connection authorized'));
    const names = new Set(made.map((line) => /application_name=(\S+)/.exec(line)?.[1]));
    for (const name of ['api', 'worker', 'migrate', 'probe']) expect(names).toContain(`session-management-${name}`);
    for (const channel of ['decisions', 'termination_changes']) expect(names).toContain(`listen:${channel}`);
    expect(made.filter((line) => !line.includes('SSL enabled'))).toEqual([]);
    for (const process of [api, worker]) expect((await process.terminate()).code).toBe(0);
  },
);

/** Lets a statement wait so long that its server is asked after it. */
async function probed(apiUrl: string): Promise<void> {
  const url = tls.url('localhost', { sslmode: 'require' });
  const holder = await connect(url);
  await holder.query('begin; lock table sessions in access exclusive mode');
  const asked = call({ url: apiUrl }, 'GET', '/v1/organizations/tls/users/grace/sessions', {
    token: await tokens(processes.issuer).orgAdmin('tls'),
  });
  await eventually(
    () => Promise.resolve(tls.server.log()),
    (log) => log.includes('session-management-probe'),
  );
  await holder.query('rollback');
  await holder.end();
  await asked;
}

it('a wrong authority and a wrong host are refused in words that say what to do', () => {
  const { authority, otherAuthority } = tls.files;
  const wrongAuthority = migrate(tls.url('localhost', { sslmode: 'verify-full', sslrootcert: otherAuthority }));
  expect(wrongAuthority).toMatchObject({ status: 1 });
  expect(wrongAuthority.stderr).toContain('signed by no authority in sslrootcert');
  const wrongHost = migrate(tls.url('127.0.0.1', { sslmode: 'verify-full', sslrootcert: authority }));
  expect(wrongHost).toMatchObject({ status: 1 });
  expect(wrongHost.stderr).toContain("the database's certificate is for another host name");
});

it('the API says in its log why it cannot connect, and answers 503', { timeout: 60_000 }, async () => {
  const url = tls.url('localhost', { sslmode: 'verify-full', sslrootcert: tls.files.otherAuthority });
  const api = await processes.api({ DATABASE_URL: url });
  const answer = await call({ url: api.url }, 'GET', '/v1/organizations/tls/users/grace/sessions', {
    token: await tokens(processes.issuer).orgAdmin('tls'),
  });
  expect(answer).toMatchObject({ status: 503, body: { code: 'database-unavailable' } });
  expect(api.lines.join('\n')).toContain('signed by no authority in sslrootcert');
  expect((await api.terminate()).code).toBe(0);
});

import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, eventually, tokens } from '../harness/client.ts';
import { toolFor } from '../harness/optional-tools.ts';
import { useOwnPostgres } from '../harness/own-postgres.ts';
import { newSigningKey } from '../harness/stack.ts';
import { signIn, terminate, untilVerified } from '../harness/terminations.ts';
import { through, useProcesses } from '../operations/use-processes.ts';
import { type Pooler, startPgBouncer } from './pgbouncer.ts';

const ops = (file: string) => readFileSync(new URL(`../../ops/${file}`, import.meta.url), 'utf8');
const roles = ['session_management_owner', 'session_management_app'];
const password = 'of-the-pooled';

const pgbouncer = toolFor('pgbouncer') ?? '';

describe.skipIf(pgbouncer === '')('behind a real PgBouncer in transaction mode', () => {
  const own = useOwnPostgres();
  const processes = useProcesses({ VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
  let direct = new URL('postgres://x');
  let pooler: Pooler;
  let careless: Pooler;

  const urlOf = (role: string) => {
    const url = new URL(direct);
    Object.assign(url, { username: role, password });
    return url.href;
  };
  const asSuperuser = async (...statements: string[]) => {
    const client = new pg.Client({ connectionString: direct.href });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };
  const migrate = (environment: Record<string, string>) =>
    spawnSync(process.execPath, [fileURLToPath(new URL('../../src/migrate.ts', import.meta.url))], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], ...environment },
    });

  const migrateBeside = (environment: Record<string, string>) =>
    promisify(execFile)(process.execPath, [fileURLToPath(new URL('../../src/migrate.ts', import.meta.url))], {
      env: { PATH: process.env['PATH'], ...environment },
    });

  beforeAll(async () => {
    direct = new URL((await own.environment()).DATABASE_URL);
    const superuser = direct.href;
    const admin = new pg.Client({ connectionString: superuser });
    await admin.connect();
    await admin.query('create database pooled');
    await admin.end();
    direct.pathname = '/pooled';
    await asSuperuser(ops('roles.sql'), ...roles.map((role) => `alter role ${role} password '${password}'`));
    const users = Object.fromEntries([
      ...roles.map((role) => [role, password]),
      ['postgres', decodeURIComponent(direct.password)],
    ]);
    pooler = await startPgBouncer(pgbouncer, direct.href, users);
    careless = await startPgBouncer(pgbouncer, direct.href, users, {
      ignore_startup_parameters: 'options,statement_timeout,lock_timeout,idle_in_transaction_session_timeout',
    });
  });
  afterAll(async () => {
    await Promise.all([pooler.stop(), careless.stop()]);
  });

  it('who did not say so is told by every command what to set', () => {
    const refused = migrate({ DATABASE_URL: pooler.through(urlOf('session_management_owner')) });
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('set DATABASE_POOLED=1') as string });
  });

  it('the schema is changed past it, by several at once, and never through it', async () => {
    const pooled = { DATABASE_URL: pooler.through(urlOf('session_management_owner')), DATABASE_POOLED: '1' };
    const refused = migrate(pooled);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^DATABASE_POOLED=1: .* Set DATABASE_LISTEN_URL to .*\n$/);
    const past = { ...pooled, DATABASE_LISTEN_URL: urlOf('session_management_owner') };
    const both = await Promise.all([migrateBeside(past), migrateBeside(past)]);
    expect(both.map(({ stderr }) => stderr)).toEqual(['', '']);
    const said = both.map(({ stdout }) => stdout.split(' ')[0] ?? '').join();
    expect(['Applied,The', 'The,Applied']).toContain(said);
    await asSuperuser(ops('grants.sql'), ops('pooled.sql'));
  });

  const variants = [
    ['with a way past it for LISTEN', () => ({ DATABASE_LISTEN_URL: urlOf('session_management_app') })],
    ['without one, by looking', () => ({})],
  ] as const;
  it.each(variants)('everything works, %s', { timeout: 120_000 }, async (name, extra) => {
    const organizationId = name.replaceAll(/\W+/g, '-');
    const environment = {
      DATABASE_URL: pooler.through(urlOf('session_management_app')),
      DATABASE_POOLED: '1',
      AUDIT_SIGNING_KEY: newSigningKey(),
      ...extra(),
    };
    const [api, worker] = await Promise.all([processes.api(environment), processes.worker(environment)]);
    const stack = through(processes, api);
    const users = Array.from({ length: 30 }, (_, n) => `user-${n}`);
    await signIn(
      stack,
      ...users.map((userId) => ({ organizationId, userId, sessionId: `s-${userId}`, chainIds: [`c-${userId}`] })),
    );
    const answers = await Promise.all(
      users.map((userId) =>
        terminate(stack, organizationId, `users/${userId}/sessions/terminate`, { prefer: 'wait=10' }),
      ),
    );
    for (const { status, body } of answers) {
      expect([200, 202]).toContain(status);
      await untilVerified(stack, body, 40_000);
    }
    const stream = await fetch(
      `${api.url}/v1/organizations/${organizationId}/terminations/${answers[0]?.body.id}/events`,
      {
        headers: { authorization: `Bearer ${await tokens(processes.issuer).orgAdmin(organizationId)}` },
      },
    );
    expect([200, 204]).toContain(stream.status);
    await stream.body?.cancel();
    // Temporal may answer a delivery late on a busy machine (DEADLINE_EXCEEDED); what the pooler fails has another code
    const late = (line: string) => /"class":"deadline-exceeded",.*"a decision could not be delivered yet"/.test(line);
    const warned = [...api.lines, ...worker.lines].filter((line) => /"level":(40|50|60)/.test(line));
    expect(warned.filter((line) => !late(line))).toEqual([]);
    for (const process of [api, worker]) expect((await process.terminate()).code).toBe(0);
  });

  it('a statement there has the limits of its role', async () => {
    const client = new pg.Client({ connectionString: pooler.through(urlOf('session_management_app')) });
    await client.connect();
    const { rows } = await client.query(
      `select name, setting from pg_settings where name in ('statement_timeout', 'jit', 'plan_cache_mode', 'lock_timeout') order by 1`,
    );
    expect(rows).toEqual([
      { name: 'jit', setting: 'off' },
      { name: 'lock_timeout', setting: '2000' },
      { name: 'plan_cache_mode', setting: 'force_generic_plan' },
      { name: 'statement_timeout', setting: '15000' },
    ]);
    await client.end();
  });

  it(
    'the API says in its log what to set, where the pooler refuses its settings and where it drops them',
    { timeout: 60_000 },
    async () => {
      const url = urlOf('postgres').replace(password, direct.password);
      for (const behind of [pooler, careless]) {
        const api = await processes.api({ DATABASE_URL: behind.through(url) });
        await call({ url: api.url }, 'GET', '/readyz');
        await eventually(
          () => Promise.resolve(api.lines.join('\n')),
          (log) => /[Ss]et DATABASE_POOLED=1/.test(log),
        );
        expect((await api.terminate()).code).toBe(0);
      }
    },
  );
});

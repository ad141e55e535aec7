import { once } from 'node:events';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { expect, inject, it } from 'vitest';
import { grantWorkflowId, terminationWorkflowId } from '../../src/workflows/messages.ts';
import { call, eventually, tokens } from '../harness/client.ts';
import { observer, signIn, terminate, untilCompleted } from '../harness/terminations.ts';
import { run, type RunningProcess, through, useProcesses } from './use-processes.ts';

const processes = useProcesses({ VERIFY_AFTER_SECONDS: '8', ACCESS_TOKEN_TTL_SECONDS: '600' });
const org = 'restored';
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

async function migrate(databaseUrl: string, ...args: string[]) {
  const process = run('src/migrate.ts', { DATABASE_URL: databaseUrl }, '', args);
  const [code] = (await once(process.child, 'close')) as [number];
  return { code, said: process.lines.join('\n') };
}

async function asAdmin(...statements: string[]): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  for (const statement of statements) await admin.query(statement);
  await admin.end();
}

async function grant(api: RunningProcess, userId: string): Promise<string> {
  const token = await tokens(processes.issuer).orgAdmin(org);
  const answer = await call<{ id: string }>(api, 'POST', `/v1/organizations/${org}/support-access-grants`, {
    token,
    body: { userId, expiresAt: inAnHour() },
  });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.id;
}

const stopBoth = async (...both: RunningProcess[]) => {
  for (const { code } of await Promise.all(both.map((process) => process.terminate()))) expect(code).toBe(0);
};

it(
  'after a backup came back: no grant lives, nobody from before is signed in, and what has no row any more is found and killed',
  { timeout: 180_000 },
  async () => {
    const name = new URL(processes.database.url).pathname.slice(1);
    const backup = `${name}_backup`;
    const isAlive = (chain: string) => processes.authModule.chains.isAlive(org, chain);
    const before = [await processes.api(), await processes.worker()] as const;
    await signIn(through(processes, before[0]), {
      organizationId: org,
      userId: 'grace',
      sessionId: 'before',
      chainIds: ['chain-before'],
    });
    const grantBefore = await grant(before[0], 'staff-before');
    await stopBoth(...before);
    const leave = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`;
    await asAdmin(leave, `create database ${backup} template ${name} strategy file_copy`);

    // the time that will be lost
    const lost = [await processes.api(), await processes.worker()] as const;
    const during = through(processes, lost[0]);
    await signIn(
      during,
      { organizationId: org, userId: 'hedy', sessionId: 'lost', chainIds: ['chain-lost'] },
      { organizationId: org, userId: 'ada', sessionId: 'ended', chainIds: ['chain-ended'] },
    );
    const grantLost = await grant(lost[0], 'staff-lost');
    const { body: terminationLost } = await terminate(during, org, 'sessions/ended/terminate');
    await untilCompleted(during, terminationLost);
    await stopBoth(...lost);
    await asAdmin(
      leave,
      `alter database ${name} rename to ${name}_lost`,
      `alter database ${backup} rename to ${name}`,
      `drop database ${name}_lost with (force)`,
    );

    const restored = await migrate(processes.database.url, '--restored');
    expect(restored.code, restored.said).toBe(0);
    expect(restored.said).toMatch(/Organizations: 1\. Grants revoked: 1; being created, and voided: 0\./);
    expect((await migrate(processes.database.url, '--restored')).said).toMatch(/Grants revoked: 0/);

    const [api, worker] = [await processes.api(), await processes.worker()];
    await eventually(
      () => Promise.resolve(['chain-before', 'chain-lost'].map(isAlive)),
      (alive) => !alive.includes(true),
      60_000,
    );
    const token = await observer(through(processes, api), org);
    const revoked = await call(api, 'GET', `/v1/organizations/${org}/support-access-grants/${grantBefore}`, { token });
    expect(revoked.body).toMatchObject({ endReason: 'revoked', endedBy: { kind: 'system' } });
    const sessions = await call<{ items: unknown[] }>(api, 'GET', `/v1/organizations/${org}/users/grace/sessions`, {
      token,
    });
    expect(sessions.body.items).toEqual([]);
    const audit = await call<{ items: { actor: object; reason: string }[] }>(
      api,
      'GET',
      `/v1/organizations/${org}/audit-events?action=termination.requested`,
      { token },
    );
    expect(audit.body.items).toMatchObject([
      { actor: { kind: 'system' }, reason: 'The database was restored from a backup.' },
      { actor: { kind: 'system' } },
    ]);

    // Temporal is ahead of the database: its workflows without a row say so, and stop
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const { workflow } = new Client({ connection });
    await workflow.getHandle(grantWorkflowId(grantLost)).signal('changed');
    for (const id of [grantWorkflowId(grantLost), terminationWorkflowId(terminationLost.id)])
      await eventually(
        async () => (await workflow.getHandle(id).describe()).status.name,
        (status) => status === 'COMPLETED',
        60_000,
      );
    await connection.close();
    const errors = () =>
      worker.lines.filter((line) => line.includes('"level":50') && line.includes('has no row any more'));
    await eventually(
      () => Promise.resolve(errors().length),
      (count) => count >= 2,
    );
    const page = await (await fetch(`${worker.url}/metrics`)).text();
    expect(page).toMatch(/^session_management_sweep_finds_total [1-9]/m);
    expect(page).toMatch(/^session_management_rows_gone_total\{activity="\w+"\} [1-9]/m);
    await stopBoth(api, worker);
  },
);

it('a schema that is not up to date is refused, and nothing is changed', async () => {
  const name = `${new URL(processes.database.url).pathname.slice(1)}_empty`;
  await asAdmin(`create database ${name}`);
  const url = processes.database.url.replace(/\/[^/]+$/, `/${name}`);
  const refused = await migrate(url, '--restored');
  expect(refused).toMatchObject({ code: 1, said: expect.stringContaining('The schema is not up to date') as string });
  expect(await migrate(url, '--wrong')).toMatchObject({ code: 1, said: expect.stringContaining('usage') as string });
  await asAdmin(`drop database ${name} with (force)`);
});

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { signIn } from '../../reference-auth-module/client.ts';
import { audience, authModuleToken, useReferenceAuthModule } from './harness.ts';

const harness = useReferenceAuthModule();
const another = useReferenceAuthModule();
const main = fileURLToPath(new URL('../../reference-auth-module/main.ts', import.meta.url));

function run(env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

test('the process serves until it is told to stop, and then ends by itself with 0', async () => {
  const child = run({
    REFERENCE_AUTH_MODULE_PORT: '0',
    REFERENCE_AUTH_MODULE_DATABASE_URL: harness.databaseUrl,
    SESSION_SERVICE_URL: harness.service.url,
    AUTH_MODULE_TOKEN: authModuleToken,
    JWT_AUDIENCE: audience,
  });
  const [line] = await once(child.stdout ?? child, 'data');
  const url = /"url":"([^"]+)"/.exec(String(line))?.[1] ?? '';
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await signIn({ issuer: url, user: 'ada', organization: 'acme' })).claims).toMatchObject({
    iss: url,
    aud: audience,
  });
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('a configuration that is wrong is told whole, at once', async () => {
  const child = run({ SESSION_SERVICE_URL: 'nowhere' });
  const said = child.stderr ? text(child.stderr) : '';
  expect(await once(child, 'exit')).toEqual([1, null]);
  for (const name of [
    'REFERENCE_AUTH_MODULE_DATABASE_URL',
    'SESSION_SERVICE_URL',
    'AUTH_MODULE_TOKEN',
    'JWT_AUDIENCE',
  ]) {
    expect(await said).toContain(name);
  }
});

test('two of them in one process keep their people, keys and tokens apart', async () => {
  const [one, two] = await Promise.all([
    signIn({ issuer: harness.issuer, user: 'ada', organization: 'acme' }),
    signIn({ issuer: another.issuer, user: 'ada', organization: 'acme' }),
  ]);
  expect([one.claims.iss, two.claims.iss]).toEqual([harness.issuer, another.issuer]);
  expect(another.service.of(one.claims.sid)).toEqual([]);
  expect(await another.sql('select 1 from auth_sessions where session_id = $1', [one.claims.sid])).toEqual([]);
});

test('losing every connection to its database costs at most one answer, not the process', async () => {
  let lost = 0;
  // one of them is lost in the midst of a transaction: the outbox waits there for the answer to its events
  harness.service.answer = async (event) => {
    if (event.type === 'chain.started' && lost === 0) {
      lost = (
        await harness.sql(`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'reference-auth-module'`)
      ).length;
    }
    return { outcome: 'accepted' };
  };
  // this one may be the answer that is lost
  await signIn({ issuer: harness.issuer, user: 'ada', organization: 'acme' }).catch(() => undefined);
  await expect.poll(() => lost, { timeout: 5000 }).toBeGreaterThan(0);
  const redelivered = () => harness.service.events.length - new Set(harness.service.events.map((e) => e.eventId)).size;
  await expect.poll(redelivered, { timeout: 5000 }).toBeGreaterThan(0);
  const after = await signIn({ issuer: harness.issuer, user: 'ada', organization: 'acme' });
  expect(after.claims.sub).toBe('ada');
});

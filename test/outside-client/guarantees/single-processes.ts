import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { type Environment, npmRun, type Script } from '../processes.ts';
import type { Service } from '../service.ts';
import { Grant, Termination } from '../shapes.ts';

const wrong: Environment = {
  PORT: 'many',
  DATABASE_URL: 'somewhere',
  AUTH_MODULE_URL: 'not an address',
  JWKS_URL: 'nor this',
  ACCESS_TOKEN_TTL_SECONDS: '-5',
  VERIFY_AFTER_SECONDS: 'soon',
  GRANT_MIN_SECONDS: '0.5',
  SESSION_RETENTION_DAYS: 'long',
  WRITES_PER_MINUTE: '-1',
  LOG_LEVEL: 'loud',
};

/** The processes themselves, configured and replaced as in production. */
export function singleProcesses(service: Service): void {
  describe('the single processes', () => {
    test.concurrent('migrating again finds nothing to do', async () => {
      expect(service.migration.code).toBe(0);
      const again = await npmRun('migrate', service.environment).ended;
      expect(again, again.output).toMatchObject({ code: 0 });
    });

    test.concurrent.each<Script>(['api', 'worker'])(
      '%s names every problem of its configuration at once, and ends',
      async (script) => {
        const ended = await npmRun(script, { ...service.environment, ...wrong }).ended;
        expect(ended.code).not.toBe(0);
        const said = Object.keys(wrong).filter((name) => ended.output.includes(name));
        expect(said, ended.output).toEqual(Object.keys(wrong));
      },
    );

    test('a worker ends by SIGTERM with 0; what is decided without one is done by the next', async () => {
      const organization = await newOrganization(service);
      const chain = await organization.signIn('user');
      expect(await service.running.worker.stop()).toMatchObject({ code: 0 });
      await eventually(service.running.worker.isLeft, (left) => !left);

      const answer = await organization.send('POST', '/users/user/sessions/terminate', {
        headers: { prefer: 'wait=1' },
      });
      const { id } = answer.as(202, Termination);
      expect(await organization.sessions('user', 'status=active')).toEqual([]);
      expect(service.authModule.isAlive(chain)).toBe(true);
      const create = {
        body: { userId: null, expiresAt: inSeconds(3_600) },
        headers: { 'idempotency-key': newId('key') },
      };
      const once = () => organization.send('POST', '/support-access-grants', create);
      const answers = (await Promise.all([once(), once()])).toSorted((one, other) => one.status - other.status);
      answers[0]!.refused(409, 'idempotency-key-in-use');
      answers[1]!.refused(503, 'workflow-engine-unavailable');

      service.running.worker = npmRun('worker', service.environment);
      const completed = await eventually(
        () => organization.termination(id),
        ({ status }) => status === 'completed',
        45_000,
      );
      expect(completed.chains).toMatchObject({ total: 1, confirmed: 1 });
      // a 503 is never stored: the same key is free
      (await once()).as(201, Grant);
    });
  });
}

import { describe, expect, test } from 'vitest';
import { eventually } from '../eventually.ts';
import { newOrganization } from '../organization.ts';
import { npmRun } from '../processes.ts';
import type { Service } from '../service.ts';

/** A database that was restored from a backup knows less than was decided: nothing from before counts any more. */
export function restoredBackup(service: Service): void {
  describe('a restored backup', () => {
    test('ends every live grant and every session from before, and those who sign in again go on', async () => {
      const organization = await newOrganization(service);
      const { id } = await organization.grant();
      const chain = await organization.signIn('user');
      const restored = await npmRun('migrate', service.environment, ['--restored']).ended;
      expect(restored, restored.output).toMatchObject({ code: 0 });
      // the caller's session is from before as well
      (await organization.send('GET', '/terminations')).refused(401, 'session-ended');
      const { one: later } = await eventually(
        async () => {
          const one = await newOrganization(service, organization.id);
          return { one, answer: await one.send('GET', '/terminations') };
        },
        ({ answer }) => answer.status === 200,
      );
      expect(await later.grantOf(id)).toMatchObject({ endReason: expect.any(String) });
      expect((await later.grantOf(id)).status).not.toBe('active');
      expect(await later.sessions('user', 'status=active')).toEqual([]);
      await eventually(
        () => service.authModule.isAlive(chain),
        (alive) => !alive,
      );
    });
  });
}

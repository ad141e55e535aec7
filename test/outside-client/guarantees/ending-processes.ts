import { describe, expect, test } from 'vitest';
import { faults } from '../auth-module.ts';
import { eventually } from '../eventually.ts';
import { newOrganization } from '../organization.ts';
import type { Running } from '../processes.ts';
import type { Service } from '../service.ts';
import { Termination } from '../shapes.ts';

/** How the processes end. These tests come last: they end what the others use. */
export function endingProcesses(service: Service): void {
  const untilGone = ({ isLeft }: Running) => eventually(isLeft, (left) => !left);

  describe('ending the processes', () => {
    test('the Auth Module was called by the contract and in no other way', () => {
      expect(service.authModule.violations).toEqual([]);
    });

    test('an API process ends by SIGTERM with 0, also where somebody still listens', async () => {
      const organization = await newOrganization(service);
      await organization.signIn('user');
      service.authModule.fail(organization.id, faults.answers(500));
      const answer = await organization.send('POST', '/users/user/sessions/terminate', {
        headers: { prefer: 'respond-async' },
      });
      const { id } = answer.as(202, Termination);
      const stream = await fetch(`${service.api.url}${organization.path}/terminations/${id}/events`, {
        headers: { authorization: `Bearer ${organization.admin.token}` },
      });
      const { api } = service.running;
      expect(await api.stop()).toMatchObject({ code: 0 });
      await stream.text().catch(() => undefined);
      await untilGone(api);
      await expect(service.api.send('GET', '/healthz')).rejects.toThrow('fetch failed');
    });

    test('npm itself ends by SIGTERM with 0, and leaves no process behind', async () => {
      const { strictApi, worker } = service.running;
      const ended = await Promise.all([strictApi.stopNpm(), worker.stopNpm()]);
      expect(ended.map(({ code }) => code)).toEqual([0, 0]);
      await Promise.all([untilGone(strictApi), untilGone(worker)]);
    });
  });
}

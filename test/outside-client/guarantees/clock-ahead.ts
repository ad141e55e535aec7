import { describe, expect, test } from 'vitest';
import { inSeconds, newId, newOrganization } from '../organization.ts';
import { machine } from '../people.ts';
import { event, record } from '../session-events.ts';
import type { Service } from '../service.ts';

/** A little less than is believed of a sender's clock. */
const aheadSeconds = 240;

/** An Auth Module whose clock is ahead. The service remembers that, so nothing about fences is asked after it. */
export function clockAhead(service: Service): void {
  describe('an Auth Module whose clock is ahead', () => {
    test('has its stamps moved back, and is searched as far ahead as it is', async () => {
      const organization = await newOrganization(service);
      const ahead = inSeconds(aheadSeconds);
      const session = {
        organizationId: organization.id,
        userId: 'user',
        sessionId: newId('session'),
        startedAt: ahead,
      };
      const events = [event({ type: 'session.started', ...session })];
      const as = await machine(service, 'sessions:ingest');
      expect(await record(service, as, events, { sentAt: ahead })).toMatchObject([{ outcome: 'accepted' }]);
      const [shown] = await organization.sessions('user', 'status=active');
      for (const stamp of [shown!.startedAt, shown!.lastSeenAt]) {
        expect(Date.parse(stamp)).toBeLessThanOrEqual(Date.now());
        expect(Date.parse(stamp)).toBeGreaterThan(Date.now() - 60_000);
      }

      const chain = { ...session, chainId: newId('chain'), sessionStartedAt: ahead, supportAccessGrantId: null };
      service.authModule.open(chain);
      const { chains } = await organization.terminateAll('user');
      expect(chains).toMatchObject({ total: 1, confirmed: 1 });
      expect(service.authModule.isAlive(chain)).toBe(false);
    });

    test('is not taken for one that is behind, whose stamps stay as they are', async () => {
      const organization = await newOrganization(service);
      const startedAt = inSeconds(-aheadSeconds);
      const session = { organizationId: organization.id, userId: 'user', sessionId: newId('session'), startedAt };
      const as = await machine(service, 'sessions:ingest');
      await record(service, as, [event({ type: 'session.started', ...session })], { sentAt: startedAt });
      expect(await organization.sessions('user')).toMatchObject([{ startedAt }]);
    });
  });
}

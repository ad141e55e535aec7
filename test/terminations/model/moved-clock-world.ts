import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { TerminationView } from '../../../src/rules/termination.ts';
import { call } from '../../harness/client.ts';
import { type EventResult, report, started } from '../../harness/events.ts';
import type { Stack } from '../../harness/stack.ts';
import { listSessions } from '../../harness/terminations.ts';

const users = ['grace', 'heidi'];

const anyUser = fc.constantFrom(...users);
export const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('sign in' as const),
      user: anyUser,
      together: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('told late' as const), user: anyUser }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      user: fc.option(anyUser, { nil: null }),
      keepNewest: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('race' as const),
      user: anyUser,
      decisions: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('clock' as const),
      offsetMs: fc.constantFrom(0, 0, -600_000, 600_000, -3_000, 3_000, 90 * 86_400_000),
    }),
  },
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Known {
  id: string;
  user: string;
  over: boolean;
}

/** Who must be over, and the real thing beside it, whose database's clock is set here and there. */
export class MovedClockWorld {
  readonly stack: Stack;
  readonly organizationId = randomUUID();
  readonly sessions: Known[] = [];
  offsetMs = 0;
  /** The last decision about each user: when it was taken, and by a clock that was not behind. */
  readonly decided = new Map<string, { at: number; sure: boolean }>();

  constructor(stack: Stack) {
    this.stack = stack;
  }

  async tell(user: string, count: number, startedAt: number): Promise<{ id: string; result: EventResult }[]> {
    const ids = Array.from({ length: count }, () => randomUUID());
    const at = new Date(startedAt).toISOString();
    const results = await report(
      this.stack,
      ids.map((sessionId) => started({ organizationId: this.organizationId, userId: user, sessionId, startedAt: at })),
    );
    return ids.map((id, n) => ({ id, result: results[n] as EventResult }));
  }

  /**
   * Who signs in so long after every decision is let in, wherever the clock was: unless it is ahead, when nobody can tell
   * them from who is told of late.
   */
  async signIn(user: string, count: number): Promise<void> {
    for (const { id, result } of await this.tell(user, count, Date.now() + 5_000)) {
      if (this.offsetMs <= 0)
        expect({ result, offsetMs: this.offsetMs }).toMatchObject({ result: { outcome: 'accepted' } });
      this.sessions.push({ id, user, over: result.outcome === 'rejected' });
    }
  }

  async end(user: string | null, kept: readonly string[]): Promise<TerminationView> {
    const path = user === null ? 'sessions/terminate' : `users/${user}/sessions/terminate`;
    const { status, body } = await call<TerminationView>(
      this.stack,
      'POST',
      `/v1/organizations/${this.organizationId}/${path}`,
      {
        token: await this.observer(),
        body: { exceptSessionIds: kept },
        headers: { prefer: 'respond-async' },
      },
    );
    expect(status).toBe(202);
    return body;
  }

  async run(each: Step): Promise<void> {
    switch (each.kind) {
      case 'sign in':
        return this.signIn(each.user, each.together);
      case 'clock':
        this.offsetMs = each.offsetMs;
        await this.stack.database.query('update test_clock set offset_ms = $1', [each.offsetMs]);
        return;
      case 'told late': {
        const decided = this.decided.get(each.user);
        const [told] = await this.tell(each.user, 1, (decided?.at ?? Date.now()) - 1);
        if (told === undefined) return;
        if (decided?.sure === true) expect(told.result).toMatchObject({ outcome: 'rejected', reason: 'fenced' });
        this.sessions.push({ id: told.id, user: each.user, over: told.result.outcome === 'rejected' });
        return;
      }
      case 'end': {
        const kept = each.keepNewest ? this.sessions.slice(-1).map(({ id }) => id) : [];
        const at = Date.now();
        await this.end(each.user, kept);
        this.note(each.user, kept, at);
        return;
      }
      case 'race': {
        // whichever comes first: who was let in is listed, and who was refused is not
        const at = Date.now();
        const [told] = await Promise.all([
          this.tell(each.user, 2, at),
          ...Array.from({ length: each.decisions }, () => this.end(each.user, [])),
        ]);
        this.note(each.user, [], at);
        for (const { id, result } of told)
          this.sessions.push({
            id,
            user: each.user,
            over: result.outcome === 'rejected' || (await this.isOver(each.user, id)),
          });
      }
    }
  }

  note(user: string | null, kept: readonly string[], at: number): void {
    for (const session of this.sessions)
      if ((user === null || session.user === user) && !kept.includes(session.id)) session.over = true;
    for (const one of user === null ? users : [user])
      this.decided.set(one, { at, sure: this.offsetMs >= 0 && kept.length === 0 });
  }

  isOver = async (user: string, id: string): Promise<boolean> =>
    !(await listSessions(this.stack, this.organizationId, user)).some((session) => session.id === id);

  async check(): Promise<void> {
    for (const one of users) {
      const listed = (await listSessions(this.stack, this.organizationId, one)).map(({ id }) => id).toSorted();
      const expected = this.sessions.filter((session) => session.user === one && !session.over).map(({ id }) => id);
      expect({ listed, offsetMs: this.offsetMs }).toEqual({ listed: expected.toSorted(), offsetMs: this.offsetMs });
    }
  }

  /** An admin whose session no fence of a run covers, wherever the database's clock was. */
  private observer = (): Promise<string> =>
    this.stack.issuer.token({
      sub: 'observer',
      roles: ['org_admin'],
      org_id: this.organizationId,
      sid: 'sid-of-observer',
      auth_time: Math.floor(Date.now() / 1_000) + 86_400 * 365,
    });
}

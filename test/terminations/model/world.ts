import { expect } from 'vitest';
import type { TerminationView } from '../../../src/rules/termination.ts';
import type { Answer } from '../../harness/client.ts';
import { report } from '../../harness/events.ts';
import type { Stack } from '../../harness/stack.ts';
import { expectPartition, observer, terminate, type TerminateRequest } from '../../harness/terminations.ts';

export const users = ['grace', 'heidi'];

/** How a world reaches the service. */
export interface Service {
  stack: Stack;
  /** Asks; where the API may crash, again until it answers, as its callers do. */
  ask<T>(question: () => Promise<T>): Promise<T>;
  /** Kills a process, which comes back; nothing where none is that may be killed. */
  crash(part: Part): void;
}
export type Part = 'api' | 'worker';

export interface ModelSession {
  id: string;
  user: string;
  startedAt: string;
  chains: string[];
  told: boolean;
  signedOut: boolean;
  /** A single termination ended it. */
  ended: boolean;
}

/** What ought to be true, and the real thing beside it. */
export class World {
  readonly service: Service;
  readonly organizationId: string;
  readonly sessions: ModelSession[] = [];
  readonly events: object[] = [];
  untold: { session: ModelSession; event: object }[] = [];
  /** What each fence keeps. */
  readonly fences = new Map<string, { user: string | null; kept: string[] }>();
  readonly terminations = new Set<string>();
  mend: (() => void) | undefined;
  constructor(service: Service, organizationId: string) {
    this.service = service;
    this.organizationId = organizationId;
  }
  get stack(): Stack {
    return this.service.stack;
  }
  own = (session: ModelSession) => ({
    organizationId: this.organizationId,
    userId: session.user,
    sessionId: session.id,
  });
  pick = (n: number): ModelSession | undefined => this.sessions[n % Math.max(1, this.sessions.length)];
  async tell(events: object[]): Promise<void> {
    this.events.push(...events);
    if (events.length > 0) await this.service.ask(() => report(this.stack, events));
  }
  async terminate(path: string, request: TerminateRequest): Promise<Answer<TerminationView>> {
    const token = await observer(this.stack, this.organizationId);
    return this.service.ask(() => terminate(this.stack, this.organizationId, path, { ...request, token }));
  }
  mendAuthModule(): void {
    this.mend?.();
    this.mend = undefined;
  }
  decided({ body, status }: Answer<TerminationView>): TerminationView {
    expect([200, 202]).toContain(status);
    expectPartition(body);
    return body;
  }
}

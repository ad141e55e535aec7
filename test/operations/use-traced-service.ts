/** The API and the worker as processes that are traced, and what tests ask of them. */
import { beforeAll, expect } from 'vitest';
import type { Call } from '../auth-module/faults.ts';
import { type Answer, call, eventually, tokens } from '../harness/client.ts';
import { signIn } from '../harness/terminations.ts';
import { type Processes, type RunningProcess, through, useProcesses } from './use-processes.ts';
import { type Traces, useTraces } from './use-traces.ts';

export const org = 'traced';

export interface TracedService {
  processes: Processes;
  traces: Traces;
  api: RunningProcess;
  /** As an Org Admin; `path` is below the organization. */
  ask(method: string, path: string, traceparent?: string, body?: object): Promise<Answer>;
  /** Signs somebody in and ends all of theirs; resolves with the termination's id. */
  terminate(user: string, traceparent: string): Promise<string>;
  /** The call that has ended the session of `terminate`. */
  invalidationOf(user: string): Promise<Call | undefined>;
}

export function useTracedService(): TracedService {
  const processes = useProcesses({ VERIFY_AFTER_SECONDS: '1', ACCESS_TOKEN_TTL_SECONDS: '1' });
  const traces = useTraces();
  const service: TracedService = {
    processes,
    traces,
    api: {} as RunningProcess,
    ask: async (method, path, traceparent, body) =>
      call(service.api, method, `/v1/organizations/${org}/${path}`, {
        token: await tokens(processes.issuer).orgAdmin(org),
        headers: { prefer: 'wait=20', ...(traceparent !== undefined && { traceparent }) },
        body,
      }),
    async terminate(user, traceparent) {
      const session = { organizationId: org, userId: user, sessionId: `s-${user}`, chainIds: [`c-${user}`] };
      await signIn(through(processes, service.api), session);
      const answer = await service.ask('POST', `users/${user}/sessions/terminate`, traceparent, {});
      expect(answer.status, answer.text).toBeLessThan(300);
      return String(answer.body['id']);
    },
    invalidationOf: (user) =>
      eventually(
        () =>
          Promise.resolve(
            processes.authModule.calls.find(
              ({ endpoint, body }) => endpoint === 'invalidate' && body.sessionIds.includes(`s-${user}`),
            ),
          ),
        Boolean,
      ),
  };
  beforeAll(async () => {
    const environment = traces.environment();
    [service.api] = await Promise.all([processes.api(environment), processes.worker(environment)]);
  });
  return service;
}

import { afterAll, beforeAll } from 'vitest';
import { freePort } from '../../../local/ports.ts';
import { eventually } from '../../harness/client.ts';
import { launchProcess, type ServiceProcess } from '../../harness/service-process.ts';
import type { Stack } from '../../harness/stack.ts';
import type { Part, Service } from './world.ts';

export interface CrashingService extends Service {
  crashes: Record<Part, number>;
  /** Until everything that was killed is back. */
  untilUp(): Promise<void>;
}

/**
 * API and worker as processes, since what runs beside the test cannot be killed -9: only a process takes its connections,
 * its locks and its half-written answers with it.
 */
export function useCrashingService(stack: Stack): CrashingService {
  const running = {} as Record<Part, ServiceProcess>;
  const returning: Partial<Record<Part, Promise<void>>> = {};
  const environment: Record<string, string> = {};
  const launch = async (part: Part) => void (running[part] = await launchProcess(`${part}.ts`, environment));
  const replace = async (part: Part) => {
    await running[part].kill9();
    await launch(part);
    delete returning[part];
  };
  const self: CrashingService = {
    stack: {} as Stack,
    crashes: { api: 0, worker: 0 },
    async ask<T>(question: () => Promise<T>): Promise<T> {
      // a connection that is refused or cut
      const ask = () =>
        question().catch((error: unknown) => {
          if (!(error instanceof TypeError)) throw error;
          return undefined;
        });
      return (await eventually(ask, (answer) => answer !== undefined, 60_000)) as T;
    },
    crash(part) {
      if (returning[part] !== undefined) return;
      self.crashes[part] += 1;
      returning[part] = replace(part);
    },
    untilUp: async () => void (await Promise.all(Object.values(returning))),
  };
  beforeAll(async () => {
    const port = String(await freePort());
    Object.assign(environment, stack.environment, { PORT: port });
    Object.assign(self.stack, stack, { url: `http://127.0.0.1:${port}` });
    await Promise.all([launch('api'), launch('worker')]);
  });
  afterAll(async () => {
    await Promise.allSettled(Object.values(returning));
    await Promise.all(Object.values(running).map((process) => process.kill9()));
  });
  return self;
}

import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import {
  AuthModuleError,
  type InvalidationRequest,
  type InvalidationResult,
} from '../../src/auth-module/auth-module.ts';
import { createHttpAuthModule, type HttpAuthModuleOptions } from '../../src/auth-module/http-auth-module.ts';
import { type FaultyAuthModule, startFaultyAuthModule } from '../faulty-auth-module.ts';

export const organizationId = 'org-1';

/** One faulty Auth Module for a test file, well and empty at the start of each test, and an impatient adapter to it. */
export function useFaultyServer() {
  let server: FaultyAuthModule | undefined;
  const running = (): FaultyAuthModule => {
    if (server === undefined) throw new Error('The faulty Auth Module runs only within tests.');
    return server;
  };
  beforeAll(async () => void (server = await startFaultyAuthModule()));
  afterEach(() => {
    running().clear();
    running().chains.clear();
  });
  afterAll(() => running().stop());

  const adapter = (over: Partial<HttpAuthModuleOptions> = {}) =>
    createHttpAuthModule({
      url: running().url,
      token: running().token,
      timeoutMs: 250,
      maxResponseBytes: 100_000,
      ...over,
    });
  const kill = (chainIds: string[], sessionIds: string[] = [], signal?: AbortSignal): Promise<InvalidationResult> => {
    const request: InvalidationRequest = { organizationId, terminationId: 't-1', chainIds, sessionIds };
    return adapter().invalidateRefreshChains(request, signal);
  };
  return { server: running, adapter, kill };
}

/** What a call failed with, which must be the port's own error. */
export async function failureOf(call: Promise<unknown>): Promise<AuthModuleError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AuthModuleError);
  if (!(error instanceof AuthModuleError)) throw new TypeError('unreachable');
  return error;
}

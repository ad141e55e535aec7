import type { Adapter } from 'oidc-provider';
import type pg from 'pg';
import type { Clock } from '../clock.ts';
import { createArtifactAdapter } from './artifact-adapter.ts';
import { createBrowserSessionAdapter } from './browser-session-adapter.ts';
import { createChainTokenAdapter } from './chain-token-adapter.ts';
import { createGrantAdapter } from './grant-adapter.ts';

/** Which model of the provider is kept how. */
export function createAdapterFactory(dependencies: { pool: pg.Pool; clock: Clock }) {
  return function adapterFor(model: string): Adapter {
    switch (model) {
      case 'Session':
        return createBrowserSessionAdapter(dependencies);
      case 'Grant':
        return createGrantAdapter(dependencies);
      case 'RefreshToken':
      case 'AuthorizationCode':
        return createChainTokenAdapter(model, dependencies);
      default:
        return createArtifactAdapter(model, dependencies);
    }
  };
}

import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { errorFields, type Log } from '../log.ts';
import { SignInRefused } from '../sign-in/open-sessions.ts';
import { requireBearer } from './bearer.ts';
import { createDemoRoutes } from './demo.ts';
import { createInteractionRoutes } from './interaction.ts';
import { createRefreshChainRoutes } from './refresh-chains.ts';

type InteractionDependencies = Parameters<typeof createInteractionRoutes>[0];
type DemoDependencies = Parameters<typeof createDemoRoutes>[0];

export interface AppOptions extends InteractionDependencies, DemoDependencies {
  authModuleToken: string;
  log: Log;
}

/** Every path that is this module's own; the OpenID provider answers all others. */
export const ownPaths = /^\/(healthz|interaction\/[^/]+|refresh-chains\/[^/]+|demo\/[^/]+)(\?|$)/;

export function createApp(options: AppOptions): Hono<{ Bindings: HttpBindings }> {
  const bearer = requireBearer(options.authModuleToken);
  const app = new Hono<{ Bindings: HttpBindings }>();

  app.get('/healthz', async (c) => {
    await options.pool.query('select 1');
    return c.json({ status: 'ok' });
  });
  app.route('/', createInteractionRoutes(options));
  app.use('/refresh-chains/*', bearer);
  app.route('/', createRefreshChainRoutes(options.pool));
  app.use('/demo/*', bearer);
  app.route('/', createDemoRoutes(options));

  app.notFound((c) => c.json({ error: 'not_found' }, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException)
      return c.json({ error: 'invalid_request', error_description: error.message }, error.status);
    if (error instanceof SignInRefused) {
      return c.json(
        { error: error.code, error_description: error.message },
        error.code === 'access_denied' ? 403 : 503,
      );
    }
    options.log('request failed', { path: c.req.routePath, ...errorFields(error) });
    return c.json({ error: 'server_error' }, 500);
  });
  return app;
}

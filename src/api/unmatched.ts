import type { OpenAPIHono } from '@hono/zod-openapi';
import { ServiceError } from '../errors.ts';
import type { ApiContext, ApiEnv } from './api-env.ts';

/**
 * Answers what no route matches: 405 with `Allow` where the path exists with other methods (RFC 9110 §15.5.6), else
 * 404. Computed from the app's own route table, once; neither needs a token, for the document tells as much.
 */
export function createUnmatched(app: OpenAPIHono<ApiEnv>): (c: ApiContext) => never {
  const methods = Map.groupBy(
    app.routes.filter(({ method }) => method !== 'ALL'),
    ({ path }) => path,
  );
  const paths = [...methods].map(([path, routes]) => ({
    matches: pathExpression(path),
    allow: allowed(routes.map(({ method }) => method)),
  }));
  return function unmatched(c) {
    const known = paths.find(({ matches }) => matches.test(c.req.path));
    if (known === undefined) throw new ServiceError('not-found', 'There is nothing at this path.');
    throw new ServiceError('method-not-allowed', `Allowed here: ${known.allow}.`, { headers: { Allow: known.allow } });
  };
}

const pathExpression = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`);

const allowed = (methods: readonly string[]): string =>
  [...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))].join(', ');

import type { OpenAPIHono } from '@hono/zod-openapi';
import { ServiceError } from '../errors.ts';
import type { ApiContext, ApiEnv } from './api-env.ts';

/** The methods that a path answers to, of every route that it matches; undefined where there is none. */
export type MethodsOf = (path: string) => readonly string[] | undefined;

/** Read from the app's own route table, once, when it is first asked: by then every route is registered. */
export function createMethodsOf(app: OpenAPIHono<ApiEnv>): MethodsOf {
  let paths: { matches: RegExp; methods: readonly string[] }[] | undefined;
  return function methodsOf(path) {
    paths ??= readRoutes(app);
    const found = paths.filter(({ matches }) => matches.test(path));
    return found.length === 0 ? undefined : [...new Set(found.flatMap(({ methods }) => methods))];
  };
}

/**
 * Answers what no route matches: 405 with `Allow` where the path exists with other methods (RFC 9110 §15.5.6), else
 * 404. Neither needs a token, for the document tells as much.
 */
export function createUnmatched(methodsOf: MethodsOf): (c: ApiContext) => never {
  return function unmatched(c) {
    const allow = methodsOf(c.req.path)?.join(', ');
    if (allow === undefined) throw new ServiceError('not-found', 'There is nothing at this path.');
    throw new ServiceError('method-not-allowed', `Allowed here: ${allow}.`, { headers: { Allow: allow } });
  };
}

function readRoutes(app: OpenAPIHono<ApiEnv>) {
  const routes = Map.groupBy(
    app.routes.filter(({ method }) => method !== 'ALL'),
    ({ path }) => path,
  );
  return [...routes].map(([path, ofPath]) => ({
    matches: pathExpression(path),
    methods: withHead(ofPath.map(({ method }) => method)),
  }));
}

const pathExpression = (path: string): RegExp =>
  new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`);

const withHead = (methods: readonly string[]): string[] => [
  ...new Set(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))),
];

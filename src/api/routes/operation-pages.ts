import type { OpenAPIHono } from '@hono/zod-openapi';
import { createRoute, z } from '@hono/zod-openapi';
import type { Registry } from 'prom-client';
import type { ApiEnv } from '../api-env.ts';
import { nameRoute } from '../endpoint.ts';
import type { Readiness } from '../health.ts';
import { requestIdHeader } from '../openapi.ts';
import { jsonAnswer } from '../route-parts.ts';

const state = z.object({
  status: z.enum(['up', 'down']),
  detail: z.string().optional().openapi({ description: 'An error class.' }),
});
const readinessSchema = z
  .object({
    status: z.enum(['ready', 'degraded', 'read-only', 'unavailable']),
    database: state,
    temporal: state,
    authModule: state,
    signingKeys: state.extend({
      status: z.enum(['up', 'partial', 'down']).openapi({
        description:
          'Whether the keys of each issuer were fetched once; `partial`: only those of issuers of one customer’s organization were not.',
      }),
    }),
  })
  .openapi('Readiness');

const tags = ['operation'];
const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'liveness',
  summary: 'The process lives; no dependency is touched',
  tags,
  responses: { 200: jsonAnswer('It lives.', z.object({ status: z.literal('alive') }), requestIdHeader) },
});
const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'readiness',
  summary: 'Whether it can serve, and the state of each dependency',
  description:
    'Ready while the database is reachable and the issuers’ signing keys were fetched once: access can be ended and everything read without Temporal and the Auth Module (`degraded`). A database that can only be read serves lists and checks (`read-only`).',
  tags,
  responses: {
    200: jsonAnswer('It can serve.', readinessSchema, requestIdHeader),
    503: jsonAnswer('It cannot.', readinessSchema, requestIdHeader),
  },
});
const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'metrics',
  summary: 'Prometheus metrics',
  tags,
  responses: {
    200: { description: 'The metrics.', headers: requestIdHeader, content: { 'text/plain': { schema: z.string() } } },
  },
});

interface Dependencies {
  readiness: () => Promise<Readiness>;
  /** Undefined: they are shown elsewhere. */
  metrics: Registry | undefined;
}

/** The pages for whoever runs the service. They need no token and tell nothing of any organization. */
export function registerOperationPages(app: OpenAPIHono<ApiEnv>, { readiness, metrics }: Dependencies): void {
  for (const { path } of [healthRoute, readyRoute, metricsRoute]) app.use(path, nameRoute(path));
  app.openapi(healthRoute, (c) => c.json({ status: 'alive' as const }, 200));
  app.openapi(readyRoute, async (c) => {
    const answer = await readiness();
    return answer.status === 'unavailable' || answer.status === 'read-only' ? c.json(answer, 503) : c.json(answer, 200);
  });
  if (metrics !== undefined)
    app.openapi(metricsRoute, async (c) =>
      c.text(await metrics.metrics(), 200, { 'Content-Type': metrics.contentType }),
    );
}

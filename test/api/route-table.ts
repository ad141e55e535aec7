import { pino } from 'pino';
import { type AppDependencies, createApp } from '../../src/api/app.ts';
import type { Operation } from '../../src/rules/access.ts';

export interface Route {
  method: string;
  /** As documented: `/v1/organizations/{org}/…`. */
  path: string;
  operation: Operation;
  operationId: string;
  /** Names of the path's ids beside the organization's. */
  ids: string[];
  hasBody: boolean;
  inOrganization: boolean;
}

/** The app without anything behind it: what it serves, not what it answers. */
export const bareApp = () =>
  createApp({
    config: { writesPerMinute: 0, corsAllowedOrigins: [] },
    logger: pino({ level: 'silent' }),
  } as unknown as AppDependencies);

interface Definition {
  method: string;
  path: string;
  operationId?: string;
  'x-operation'?: Operation;
  request?: { body?: unknown };
}

/** Every route under /v1, from the app's own table. */
export const routeTable = (): Route[] =>
  bareApp().openAPIRegistry.definitions.flatMap((definition) => {
    if (definition.type !== 'route') return [];
    const { method, path, operationId = '', request, 'x-operation': operation }: Definition = definition.route;
    if (!path.startsWith('/v1/')) return [];
    if (operation === undefined) throw new Error(`${method} ${path} is for nobody in particular`);
    return [
      {
        method: method.toUpperCase(),
        path,
        operation,
        operationId,
        ids: [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '').filter((name) => name !== 'org'),
        hasBody: request?.body !== undefined,
        inOrganization: path.includes('{org}'),
      },
    ];
  });

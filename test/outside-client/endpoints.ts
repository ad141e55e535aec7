import { uuidv7 } from './uuid.ts';

/** What a caller needs to be allowed to do. */
export type Act =
  | 'list'
  | 'terminate'
  | 'read-terminations'
  | 'create-grant'
  | 'read-grants'
  | 'change-grant'
  | 'revoke-grant'
  | 'read-flag'
  | 'change-flag'
  | 'read-audit'
  | 'ingest'
  | 'check';

export interface Endpoint {
  method: string;
  template: string;
  act: Act;
}

const of = (method: string, rest: string, act: Act): Endpoint => ({
  method,
  template: `/v1/organizations/{org}${rest}`,
  act,
});

/** Every endpoint that needs a token. */
export const endpoints: Endpoint[] = [
  of('GET', '/users/{user}/sessions', 'list'),
  of('POST', '/sessions/{session}/terminate', 'terminate'),
  of('POST', '/users/{user}/sessions/terminate', 'terminate'),
  of('POST', '/sessions/terminate', 'terminate'),
  of('GET', '/terminations', 'read-terminations'),
  of('GET', '/terminations/{termination}', 'read-terminations'),
  of('GET', '/terminations/{termination}/events', 'read-terminations'),
  of('GET', '/terminations/{termination}/receipt', 'read-terminations'),
  of('POST', '/support-access-grants', 'create-grant'),
  of('GET', '/support-access-grants', 'read-grants'),
  of('GET', '/support-access-grants/{grant}', 'read-grants'),
  of('PATCH', '/support-access-grants/{grant}', 'change-grant'),
  of('POST', '/support-access-grants/{grant}/revoke', 'revoke-grant'),
  of('GET', '/support-access', 'read-flag'),
  of('PUT', '/support-access', 'change-flag'),
  of('DELETE', '/support-access', 'change-flag'),
  of('GET', '/audit-events', 'read-audit'),
  of('GET', '/audit-events/head', 'read-audit'),
  { method: 'POST', template: '/v1/session-events', act: 'ingest' },
  { method: 'POST', template: '/v1/support-access/check', act: 'check' },
];

export const publicPaths = [
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/docs',
  '/.well-known/audit-keys.json',
];

export type Parameters = Partial<Record<'org' | 'user' | 'session' | 'termination' | 'grant', string>>;

/** The path with these ids; the others are well-formed and of nothing. */
export const pathOf = ({ template }: Endpoint, parameters: Parameters): string =>
  template.replace(/\{(\w+)\}/g, (_match, name: keyof Parameters) =>
    encodeURIComponent(parameters[name] ?? (name === 'termination' || name === 'grant' ? uuidv7() : `nothing-${name}`)),
  );

export const nameOf = ({ method, template }: Endpoint) => `${method} ${template}`;

import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import type { Chain } from './auth-module.ts';
import type { Answer, Request } from './client.ts';
import { eventually } from './eventually.ts';
import { machine, orgAdmin, type Person } from './people.ts';
import { type Event, record } from './session-events.ts';
import type { Service } from './service.ts';
import { AuditEvent, Grant, page, Session, Termination } from './shapes.ts';

export interface Organization {
  id: string;
  /** `/v1/organizations/{id}` */
  path: string;
  admin: Person;
  /** A call of the organization's admin, who waits for terminations as long as it takes. */
  send(method: string, path: string, request?: Request): Promise<Answer>;
  /** A sign-in: a session the service knows of, and its chain at the Auth Module. */
  signIn(userId: string, fields?: Partial<Event>): Promise<Chain>;
  sessions(userId: string, query?: string): Promise<Session[]>;
  session(userId: string, sessionId: string): Promise<Session | undefined>;
  terminateAll(userId: string, body?: unknown): Promise<Termination>;
  termination(id: string): Promise<Termination>;
  terminations(): Promise<Termination[]>;
  grant(body?: object): Promise<Grant>;
  grantOf(id: string): Promise<Grant>;
  audit(query?: string): Promise<AuditEvent[]>;
}

export const newId = (kind: string) => `${kind}-${randomUUID()}`;
export const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

/** An organization that nobody has used before, so that tests never meet. */
export async function newOrganization(service: Service, id = newId('org')): Promise<Organization> {
  const admin = await orgAdmin(service, id);
  const path = `/v1/organizations/${id}`;
  const send = (method: string, rest: string, request: Request = {}) =>
    service.api.send(method, `${path}${rest}`, {
      as: admin.token,
      ...request,
      headers: { prefer: 'wait=30', ...request.headers },
    });
  const read = async <Shape extends z.ZodType>(rest: string, shape: Shape) => (await send('GET', rest)).as(200, shape);
  const items = async <Item extends z.ZodType>(rest: string, item: Item) => (await read(rest, page(item))).items;
  const termination = (one: string) => read(`/terminations/${one}`, Termination);
  const sessions = (userId: string, query = 'status=all') => items(`/users/${userId}/sessions?${query}`, Session);
  return {
    id,
    path,
    admin,
    send,
    signIn: (userId, fields = {}) => signIn(service, { organizationId: id, userId, ...fields }),
    sessions,
    session: async (userId, sessionId) => (await sessions(userId)).find((one) => one.id === sessionId),
    terminateAll: async (userId, body) => {
      const answer = await send('POST', `/users/${userId}/sessions/terminate`, { body });
      const decided = answer.as(answer.status === 202 ? 202 : 200, Termination);
      // a busy workflow engine is not waited for by the call
      return eventually(
        () => (decided.status === 'completed' ? Promise.resolve(decided) : termination(decided.id)),
        ({ status }) => status === 'completed',
      );
    },
    termination,
    terminations: () => items('/terminations', Termination),
    grant: async (body = {}) =>
      (
        await send('POST', '/support-access-grants', { body: { userId: null, expiresAt: inSeconds(3_600), ...body } })
      ).as(201, Grant),
    grantOf: (one) => read(`/support-access-grants/${one}`, Grant),
    audit: (query = 'limit=200') => items(`/audit-events?${query}`, AuditEvent),
  };
}

/** What the Auth Module does when somebody signs in: it asks first, and lets in only whom it may. */
export async function signIn(
  service: Service,
  fields: Partial<Event> & Pick<Event, 'organizationId' | 'userId'>,
): Promise<Chain> {
  const started = { sessionId: newId('session'), chainId: newId('chain'), startedAt: inSeconds(-60), ...fields };
  const [result] = await record(service, await machine(service, 'sessions:ingest'), [
    { type: 'session.started', expiresAt: inSeconds(86_400), ...started },
  ]);
  if (result?.outcome !== 'accepted') throw new Error(`the sign-in was answered with ${JSON.stringify(result)}`);
  const chain = {
    chainId: started.chainId,
    sessionId: started.sessionId,
    userId: started.userId,
    organizationId: started.organizationId,
    sessionStartedAt: started.startedAt,
    supportAccessGrantId: started.supportAccessGrantId ?? null,
  };
  service.authModule.open(chain);
  return chain;
}

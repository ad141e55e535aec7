import { z } from 'zod';
import { Problem } from '../problem.ts';

/** People that the reference Auth Module knows (its directory.ts), and the organization they are of. */
export const demoOrganization = 'acme';
export const demoAdmin = 'ada';
export const demoUser = 'grace';

const token = z.object({ access_token: z.string() });
const sessionList = z.object({ items: z.array(z.object({ id: z.string() })) });

export interface DemoOrganization {
  /** Of an Org Admin, good for hours, so that the calls on the screen can be pasted later too. */
  adminToken: string;
  /** One of the demo user's sessions. */
  sessionId: string | undefined;
}

export interface DemoAddresses {
  apiUrl: string;
  authModuleUrl: string;
  authModuleToken: string;
}

const ADMIN_TOKEN_SECONDS = 12 * 60 * 60;

/**
 * Signs the demo administrator in, and the demo user on three devices unless a session of theirs is active already:
 * real sign-ins at the Auth Module, which tells the service of them as of any other.
 */
export async function seedDemoOrganization(addresses: DemoAddresses): Promise<DemoOrganization> {
  const admin = { sub: demoAdmin, org_id: demoOrganization, roles: ['org_admin'], ttlSeconds: ADMIN_TOKEN_SECONDS };
  const { access_token: adminToken } = token.parse(await callAuthModule(addresses, '/demo/tokens', admin));
  let sessions = await listSessions(addresses.apiUrl, adminToken);
  if (sessions.length === 0) {
    const signIns = { organizationId: demoOrganization, userId: demoUser, count: 3, clients: ['web', 'mobile'] };
    await callAuthModule(addresses, '/demo/sign-ins', signIns);
    sessions = await listSessions(addresses.apiUrl, adminToken);
  }
  return { adminToken, sessionId: sessions[0]?.id };
}

async function listSessions(apiUrl: string, adminToken: string): Promise<{ id: string }[]> {
  const url = `${apiUrl}/v1/organizations/${demoOrganization}/users/${demoUser}/sessions`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${adminToken}` } });
  return sessionList.parse(await body(url, response)).items;
}

async function callAuthModule(addresses: DemoAddresses, path: string, content: unknown): Promise<unknown> {
  const url = `${addresses.authModuleUrl}${path}`;
  const headers = { authorization: `Bearer ${addresses.authModuleToken}`, 'content-type': 'application/json' };
  return body(url, await fetch(url, { method: 'POST', headers, body: JSON.stringify(content) }));
}

async function body(url: string, response: Response): Promise<unknown> {
  const text = await response.text();
  if (!response.ok) throw new Problem(`The demo organization could not be made: ${url} → ${response.status} ${text}`);
  return JSON.parse(text);
}

import { z } from 'zod';
import { Problem } from '../problem.ts';
import { signInDevice } from './device.ts';
import type { Narrator } from './narrator.ts';
import type { CallService } from './service.ts';

export interface TourOptions {
  narrator: Narrator;
  call: CallService;
  apiUrl: string;
  issuer: string;
  organization: string;
  /** Of an Org Admin. */
  adminToken: string;
}

const USER = 'linus';
const sessions = z.object({ items: z.array(z.object({ id: z.string() })) });
const termination = z.object({ id: z.string(), status: z.string() });

/** Two devices sign in; one is ended, then all. Each one's refresh is tried before and after. */
export async function twoDevices({
  narrator,
  call,
  issuer,
  organization,
  adminToken: token,
}: TourOptions): Promise<void> {
  const users = `/v1/organizations/${organization}/users/${USER}/sessions`;
  const person = { issuer, organization, user: USER };
  const list = { method: 'GET', path: users, token, expected: [200] } as const;

  narrator.step(`${USER} signs in on two devices`);
  const laptop = await signInDevice({ ...person, client: 'web' }, 'laptop', narrator);
  const phone = await signInDevice({ ...person, client: 'mobile' }, 'phone', narrator);

  narrator.step('The administrator lists the sessions');
  mustHold(await call(list), { listed: [laptop.sessionId, phone.sessionId] });

  narrator.step('Both devices refresh, as they do every few minutes');
  await laptop.tryRefresh('works');
  await phone.tryRefresh('works');

  narrator.step('The administrator ends the session of the laptop');
  const one = `/v1/organizations/${organization}/sessions/${laptop.sessionId}/terminate`;
  await finished(
    await call({ method: 'POST', path: one, token, body: { reason: 'laptop lost' }, expected: [200, 202] }),
  );

  narrator.step('The refresh of the laptop is refused, that of the phone works');
  await laptop.tryRefresh('is refused');
  await phone.tryRefresh('works');
  mustHold(await call(list), { listed: [phone.sessionId], unlisted: [laptop.sessionId] });

  narrator.step(`The administrator ends all sessions of ${USER}`);
  await finished(await call({ method: 'POST', path: `${users}/terminate`, token, body: {}, expected: [200, 202] }));

  narrator.step('Neither device gets another token, and no session is left');
  await laptop.tryRefresh('is refused');
  await phone.tryRefresh('is refused');
  mustHold(await call(list), { unlisted: [laptop.sessionId, phone.sessionId] });

  /** Waits until the Auth Module has confirmed that every chain is dead. Not earlier is a refresh sure to be refused. */
  async function finished(answer: { body: unknown }): Promise<void> {
    const { id, status } = termination.parse(answer.body);
    if (status === 'completed') return;
    await new Promise((done) => setTimeout(done, 500));
    const path = `/v1/organizations/${organization}/terminations/${id}`;
    await finished(await call({ method: 'GET', path, token, expected: [200] }));
  }
}

function mustHold(answer: { body: unknown }, wanted: { listed?: string[]; unlisted?: string[] }): void {
  const ids = sessions.parse(answer.body).items.map(({ id }) => id);
  const missing = (wanted.listed ?? []).filter((id) => !ids.includes(id));
  const surplus = (wanted.unlisted ?? []).filter((id) => ids.includes(id));
  if (missing.length > 0) throw new Problem(`The list lacks ${missing.join(', ')}.`);
  if (surplus.length > 0) throw new Problem(`The list still shows ${surplus.join(', ')}.`);
}

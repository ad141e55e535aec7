import { z } from 'zod';
import { SignInFailed } from '../../reference-auth-module/client.ts';
import { Problem } from '../problem.ts';
import { type Device, signInDevice } from './device.ts';
import type { TourOptions } from './two-devices.ts';

const STAFF = 'sam';
const HOUR_MS = 3_600_000;
const grant = z.object({ id: z.string(), status: z.string() });
const sessions = z.object({
  items: z.array(z.object({ id: z.string(), supportAccessGrantId: z.string().nullable() })),
});

/** The organization lets one of the vendor's staff in, sees them, and takes it back: their next call and refresh are refused. */
export async function supportAccess({
  narrator,
  call,
  issuer,
  organization,
  adminToken: token,
}: TourOptions): Promise<void> {
  const at = (path: string) => `/v1/organizations/${organization}${path}`;
  const enter = () =>
    signInDevice({ issuer, user: STAFF, organization: 'vendor', supportOrganization: organization }, STAFF, narrator);

  narrator.step(`No support access is allowed: ${STAFF}, of the vendor's staff, cannot get in`);
  await call({ method: 'DELETE', path: at('/support-access'), token, expected: [200] });
  await mustBeRefused(enter);

  narrator.step(`The administrator lets ${STAFF} in for an hour`);
  const body = {
    userId: STAFF,
    expiresAt: new Date(Date.now() + HOUR_MS).toISOString(),
    reason: 'a question about billing',
  };
  const granted = grant.parse(
    (await call({ method: 'POST', path: at('/support-access-grants'), token, body, expected: [201] })).body,
  );

  narrator.step(`${STAFF} signs in to ${organization}, and the organization sees it`);
  const staff = await enter();
  const listed = sessions.parse(
    (await call({ method: 'GET', path: at(`/users/${STAFF}/sessions`), token, expected: [200] })).body,
  );
  if (
    !listed.items.some(({ id, supportAccessGrantId }) => id === staff.sessionId && supportAccessGrantId === granted.id)
  ) {
    throw new Problem('The support session is not in the list, or not with its grant.');
  }

  narrator.step(`${STAFF} may look around, and may not prolong the stay`);
  await call({ method: 'GET', path: at('/users/grace/sessions'), token: staff.accessToken, expected: [200] });
  await call({
    method: 'PATCH',
    path: at(`/support-access-grants/${granted.id}`),
    token: staff.accessToken,
    body: { expiresAt: new Date(Date.now() + 2 * HOUR_MS).toISOString() },
    expected: [403],
  });
  await staff.tryRefresh('works');

  narrator.step('The administrator revokes it: the very next call is refused');
  await call({
    method: 'POST',
    path: at(`/support-access-grants/${granted.id}/revoke`),
    token,
    body: {},
    expected: [200],
  });
  await call({ method: 'GET', path: at('/users/grace/sessions'), token: staff.accessToken, expected: [401] });

  narrator.step('Once the Auth Module has confirmed it, no token can be refreshed either');
  await cleared();
  await staff.tryRefresh('is refused');

  async function cleared(): Promise<void> {
    const answer = await call({
      method: 'GET',
      path: at(`/support-access-grants/${granted.id}`),
      token,
      expected: [200],
    });
    if (grant.parse(answer.body).status === 'ended') return;
    await new Promise((done) => setTimeout(done, 500));
    await cleared();
  }
}

async function mustBeRefused(enter: () => Promise<Device>): Promise<void> {
  try {
    await enter();
  } catch (error) {
    if (!(error instanceof SignInFailed)) throw error;
    process.stdout.write(`   < refused: ${error.message}\n`);
    return;
  }
  throw new Problem('A support sign-in without a grant was let in.');
}

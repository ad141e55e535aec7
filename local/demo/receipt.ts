import { compactVerify, createRemoteJWKSet } from 'jose';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { signIn } from '../../reference-auth-module/client.ts';
import { Problem } from '../problem.ts';
import { demoAdmin } from '../start/demo-organization.ts';
import type { TourOptions } from './two-devices.ts';

const terminations = z.object({ items: z.array(z.object({ id: z.string(), verifiedAt: z.string().nullable() })) });
const signed = z.object({ jws: z.string() });
/** A minute of access tokens, and what a busy machine takes. */
const PATIENCE_MS = 180_000;

/** The receipt of a termination that was verified, checked as somebody outside would: with the public keys alone. */
export async function receipt({ narrator, call, apiUrl, issuer, organization }: TourOptions): Promise<void> {
  const path = `/v1/organizations/${organization}/terminations`;
  narrator.step(
    'What was ended is verified once the last access token is over, in about a minute; then it has a signed receipt',
  );
  const token = async () => (await signIn({ issuer, organization, user: demoAdmin })).accessToken;
  const id = await verified(`${apiUrl}${path}?limit=200`, token);
  const answer = await call({ method: 'GET', path: `${path}/${id}/receipt`, token: await token(), expected: [200] });

  narrator.step('Anybody can check it, without a token');
  const keys = createRemoteJWKSet(new URL('/.well-known/audit-keys.json', apiUrl));
  const { payload, protectedHeader } = await compactVerify(signed.parse(answer.body).jws, keys);
  const body: unknown = JSON.parse(new TextDecoder().decode(payload));
  narrator.shown(
    `compactVerify(jws, ${apiUrl}/.well-known/audit-keys.json), header ${JSON.stringify(protectedHeader)}`,
    { status: 200, body },
    [200],
  );
}

/** The latest termination that is verified, waited for. An access token is over sooner than that, so there is a new one each time. */
async function verified(url: string, token: () => Promise<string>): Promise<string> {
  for (let waited = 0; waited < PATIENCE_MS; waited += 5_000) {
    const response = await fetch(url, { headers: { authorization: `Bearer ${await token()}` } });
    const { items } = terminations.parse(await response.json());
    const found = items.find(({ verifiedAt }) => verifiedAt !== null);
    if (found) return found.id;
    await delay(5_000);
  }
  throw new Problem('Nothing was verified within three minutes: .data/logs/worker.log says why.');
}

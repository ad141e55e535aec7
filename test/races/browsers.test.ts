import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { signIn, SignInFailed, type SignedIn, type SignInOptions } from '../../reference-auth-module/client.ts';
import { useReferenceStack } from '../harness/reference-stack.ts';
import { type Device, inLanes, usePeople } from './people.ts';

const ROUNDS = Number(process.env['RACE_BROWSERS'] ?? 40);

const stack = useReferenceStack();
const people = usePeople(stack);

const ada = (more: Partial<SignInOptions> = {}): SignInOptions => ({
  issuer: stack.issuer,
  user: 'linus',
  organization: 'acme',
  ...more,
});
const device = ({ claims, refreshToken }: SignedIn, clientId = 'web'): Device => ({
  sessionId: String(claims['sid']),
  chainId: '',
  refreshToken,
  clientId,
});
const refused = (entering: Promise<SignedIn>) =>
  entering.then(
    () => 'let in',
    (error: unknown) => (error instanceof SignInFailed ? 'refused' : error),
  );

it('a remembered browser mints no new chain in an ended session, with whatever client; a new sign-in in it works', async () => {
  const admin = await people.admin('acme');
  const first = await signIn(ada());
  const second = await signIn(ada({ client: 'mobile', cookies: first.cookies, continueSession: true }));
  expect(second.claims['sid']).toBe(first.claims['sid']);
  const devices = [device(first), device(second, 'mobile')];
  expect(await people.survivors(devices)).toHaveLength(2);

  await people.completed(admin, await people.terminate(admin, 'acme', `sessions/${String(first.claims['sid'])}`));
  expect(await people.survivors(devices)).toEqual([]);
  for (const client of ['web', 'mobile'] as const)
    expect(await refused(signIn(ada({ client, cookies: first.cookies, continueSession: true })))).toBe('refused');

  const again = await signIn(ada({ cookies: first.cookies }));
  expect(again.claims['sid']).not.toBe(first.claims['sid']);
  expect(await people.refresh(device(again))).toBe(true);
  expect(await people.survivors(devices)).toEqual([]);
});

it(`a further client that is being added while the session is ended, ${ROUNDS} times: no chain of it survives`, async ({
  annotate,
}) => {
  const admin = await people.admin('acme');
  let added = 0;
  await inLanes(Array.from({ length: ROUNDS }), 4, async (_, n) => {
    const first = await signIn(ada());
    // from well after the end was decided until well before
    const [addAfterMs, endAfterMs] = [(n % 10) * 25, 110];
    const adding = sleep(addAfterMs)
      .then(() => signIn(ada({ client: 'mobile', cookies: first.cookies, continueSession: true })))
      .catch((error: unknown) => {
        if (error instanceof SignInFailed) return null;
        throw error;
      });
    const termination = await sleep(endAfterMs).then(() =>
      people.terminate(admin, 'acme', `sessions/${String(first.claims['sid'])}`),
    );
    const second = await adding;
    await people.completed(admin, termination);
    added += Number(second !== null);
    expect(await people.survivors([device(first), ...(second ? [device(second, 'mobile')] : [])])).toEqual([]);
    expect(await refused(signIn(ada({ cookies: first.cookies, continueSession: true })))).toBe('refused');
  });
  await annotate(`${added} of ${ROUNDS} further clients came before the end was true`);
}, 240_000);

it('a code that was not yet exchanged when its session ended gives nothing', async () => {
  const admin = await people.admin('acme');
  const entering = await Promise.all(Array.from({ length: 6 }, () => signIn(ada())));
  const fresh = Array.from({ length: 12 }, () =>
    signIn(ada()).catch((error: unknown) => (error instanceof SignInFailed ? null : Promise.reject(error as Error))),
  );
  const termination = await people.terminate(admin, 'acme', 'users/linus/sessions');
  const late = (await Promise.all(fresh)).filter((signedIn) => signedIn !== null);
  await people.completed(admin, termination);
  expect(await people.survivors(entering.map((signedIn) => device(signedIn)))).toEqual([]);
  const began = async (sessionId: unknown) =>
    (
      await stack.authDatabase.query<{ at: Date }>('select started_at as at from auth_sessions where session_id = $1', [
        sessionId,
      ])
    ).rows[0]!.at.getTime();
  for (const signedIn of late)
    expect(await people.refresh(device(signedIn))).toBe(
      (await began(signedIn.claims['sid'])) > Date.parse(termination.cutoff),
    );
});

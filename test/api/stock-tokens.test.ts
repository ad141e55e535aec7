import fc from 'fast-check';
import type { JWTPayload } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { explainToken } from '../../src/api/explain-token.ts';
import { createTokenVerifier, type VerifyToken } from '../../src/api/token-verifier.ts';
import { machines, people, type Provider, providers, type StockIssuers, stockIssuers } from './stock-tokens.ts';

let stock: StockIssuers;
let verify: VerifyToken;
beforeAll(async () => {
  stock = await stockIssuers();
  verify = createTokenVerifier({ ...stock, issuers: stock.keyed });
});
const verdict = async (provider: Provider, claims: JWTPayload): Promise<string> =>
  verify(await stock.sign(provider, claims)).then(
    ({ kind }) => kind,
    (error: unknown) => String(error),
  );
const explain = (token: string) =>
  explainToken(token, { issuers: stock.keyed, clockToleranceSeconds: stock.clockToleranceSeconds, nowMs: Date.now() });

describe('stock tokens', () => {
  it('a person’s has its roles, organization and session read where the entry says that they are', async () => {
    const read = async (provider: Provider) => verify(await stock.sign(provider, people[provider]));
    expect(await read('keycloak')).toMatchObject({
      kind: 'person',
      roles: ['org-admin'],
      organizationId: 'acme',
      sessionId: people.keycloak.sid,
    });
    expect(await read('auth0')).toMatchObject({
      kind: 'person',
      roles: ['org-admin'],
      organizationId: 'org_9ybsU1dN2dKfDkBi',
      sessionId: 'J1kUY0x2l9BtnDJ2',
    });
    expect(await read('entra')).toMatchObject({
      kind: 'person',
      roles: ['org-admin'],
      organizationId: 'contoso',
      scopes: ['access_as_user'],
    });
  });

  it('a machine’s is that of a listed client, with the scopes of the entry and no role', async () => {
    const scopes = {
      keycloak: ['sessions:ingest'],
      auth0: ['support-access:check'],
      entra: ['sessions:ingest', 'support-access:check'],
    };
    for (const provider of providers)
      expect(await verify(await stock.sign(provider, machines[provider]))).toMatchObject({
        kind: 'machine',
        roles: [],
        scopes: scopes[provider],
      });
  });

  it('a machine’s of a client that is not listed is nobody’s', async () => {
    for (const provider of providers) {
      const { client_id: _, ...claims } = { client_id: '', ...machines[provider] };
      expect(await verdict(provider, { ...claims, azp: 'another' })).toContain('TokenRefusal');
    }
  });

  it('a person who signs in through a listed client is no machine', async () => {
    const { sid, ...sessionless } = people.keycloak;
    const client = { azp: 'session-reporter' };
    expect(await verdict('keycloak', { ...sessionless, sid, ...client })).toBe('person');
    expect(await verdict('keycloak', { ...sessionless, ...client })).toContain('claim is missing (sid)');
  });
});

describe('claim names', () => {
  it('the literal name comes first, then the path; a step into what is no object is malformed, never absent', async () => {
    const base = people.keycloak;
    const roles = async (claims: JWTPayload) => (await verify(await stock.sign('keycloak', claims))).roles;
    expect(await roles({ ...base, 'realm_access.roles': [] })).toEqual([]);
    const { realm_access: _, ...roleless } = base;
    expect(await roles(roleless)).toEqual([]);
    for (const realm_access of [null, 'x', [], 7])
      expect(await verdict('keycloak', { ...base, realm_access })).toContain('realm_access.roles');
    expect(await roles({ ...base, realm_access: { constructor: 1 } })).toEqual([]);
  });
});

describe('token:explain', () => {
  it('says of each claim how it is read, which rule spoke, and what is permitted; never the signature', async () => {
    const token = await stock.sign('keycloak', people.keycloak);
    const { accepted, lines } = await explain(token);
    const text = lines.map((line) => line.join(' ')).join('\n');
    expect(accepted).toBe(true);
    for (const told of [
      'signature good (RS256, key sig)',
      'of which count: org-admin',
      'organization (org_id) acme',
      `session (sid) ${people.keycloak.sid}`,
      'caller a person: it names a session',
      'verdict accepted, as a person',
      'may in acme: sessions.read',
    ])
      expect(text).toContain(told);
    for (const part of token.split('.')) expect(text).not.toContain(part);
    const machine = await explain(await stock.sign('auth0', machines.auth0));
    expect(machine.lines).toContainEqual(['caller', expect.stringContaining('is listed in machines')]);
    expect(machine.lines).toContainEqual(['may', 'in any organization: support-access.check']);
  });

  it('goes on after the first fault, so that all of them are seen at once', async () => {
    const { accepted, lines } = await explain(
      await stock.sign('keycloak', { ...people.keycloak, exp: 1_000, aud: 'another', org_id: 'globex' }),
    );
    expect(accepted).toBe(false);
    const refused = lines.filter(([, found]) => found.startsWith('refused')).map(([what]) => what);
    expect(refused).toEqual(['aud', 'exp', 'organization (org_id)', 'verdict']);
  });

  it('whatever a token says, the verdict is the service’s own, and of a forged one nothing is accepted', async () => {
    const claim = fc.oneof(
      fc.constantFrom<unknown>(
        'acme',
        'account',
        'session-reporter',
        'realm-admin',
        null,
        7,
        '',
        [],
        {},
        'openid profile',
      ),
      fc.constant({ roles: ['realm-admin'] }),
      fc.array(fc.constantFrom('account', 'realm-admin')),
      fc.integer({ min: -10, max: 4e9 }),
    );
    const names = [
      'aud',
      'sub',
      'azp',
      'client_id',
      'sid',
      'scope',
      'realm_access',
      'org_id',
      'exp',
      'nbf',
      'iat',
      'auth_time',
      'typ',
      'support_access_grant_id',
    ];
    const changes = fc.dictionary(fc.constantFrom(...names), claim, { maxKeys: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(people.keycloak, machines.keycloak), changes, async (stockClaims, changed) => {
        const claims: JWTPayload = { ...stockClaims, ...changed };
        const signed = await stock.sign('keycloak', claims);
        const told = await explain(signed);
        expect(told.accepted).toBe(['person', 'machine'].includes(await verdict('keycloak', claims)));
        const signature = signed.split('.')[2] ?? '';
        expect(JSON.stringify(told)).not.toContain(signature);
        expect((await explain(await stock.sign('auth0', claims))).accepted).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  it('of what is no token it says so', async () => {
    for (const text of ['', 'nonsense', 'a.b.c', 'a.b.c.d.e'])
      expect((await explain(text)).lines.at(-1)).toEqual(['verdict', 'refused: it is no signed JWT']);
  });
});

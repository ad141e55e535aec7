import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ConfigError, loadConfig, loadTokenConfig } from '../../src/config.ts';

const short = { JWT_ISSUER: 'https://short.example', JWT_AUDIENCE: 'a', JWKS_URL: 'https://short.example/jwks' };
const entry = { issuer: 'https://one.example', audience: 'a' };
const issuersOf = (environment: Record<string, string>) => loadTokenConfig(environment).issuers;
const problems = (environment: Record<string, string>): string => {
  try {
    loadTokenConfig(environment);
    return 'none';
  } catch (error) {
    return error instanceof ConfigError ? error.message : String(error);
  }
};
const list = (...entries: object[]) => ({ TRUSTED_ISSUERS: JSON.stringify(entries) });

it('`TRUSTED_ISSUERS` is JSON or a file of it', async () => {
  const path = join(tmpdir(), `issuers-${process.pid}.json`);
  await writeFile(path, JSON.stringify([entry]));
  expect(issuersOf({ TRUSTED_ISSUERS: `@${path}` })).toEqual(issuersOf(list(entry)));
  expect(problems({ TRUSTED_ISSUERS: '@/nowhere/at/all' })).toContain(
    'TRUSTED_ISSUERS: names a file that cannot be read',
  );
  expect(problems({ TRUSTED_ISSUERS: '{' })).toContain('TRUSTED_ISSUERS: is not JSON');
});

it('`JWT_*` is the short form for one, alone or beside others, and whole or absent', () => {
  expect(issuersOf(short)).toMatchObject([{ issuer: short.JWT_ISSUER, namespace: null, maySupport: true }]);
  expect(issuersOf({ ...short, ...list(entry) }).map(({ issuer }) => issuer)).toEqual([short.JWT_ISSUER, entry.issuer]);
  expect(issuersOf(list(entry)).map(({ issuer }) => issuer)).toEqual([entry.issuer]);
  expect(problems({})).toMatch(/JWT_ISSUER: is required\n +JWT_AUDIENCE: is required\n +JWKS_URL: is required/);
  expect(problems({ ...list(entry), JWT_ISSUER: short.JWT_ISSUER })).toMatch(/JWT_AUDIENCE: is required\n +JWKS_URL/);
  expect(problems({ ...short, ...list({ ...entry, issuer: short.JWT_ISSUER }) })).toContain('name it once');
});

it('every problem is told at once, those of the issuers too', () => {
  expect(() => loadConfig({ PORT: 'x' })).toThrow(
    /PORT: .*\n(.*\n)*.*DATABASE_URL: is required\n(.*\n)*.*JWT_ISSUER: is required/,
  );
});

it.each<[string, object[]]>([
  ['an unknown field', [{ ...entry, audiences: 'a' }]],
  ['no audience', [{ issuer: entry.issuer }]],
  ['an empty list of audiences', [{ ...entry, audience: [] }]],
  ['an issuer twice', [entry, entry]],
  ['a machine with a scope that there is not', [{ ...entry, machines: { m: 'sessions:ingets' } }]],
  ['a machine without scopes', [{ ...entry, machines: { m: ' ' } }]],
  ['an organization that no path can name', [{ ...entry, organization: '..' }]],
  ['no address of the key set, nor one to discover it from', [{ issuer: 'urn:issuer', audience: 'a' }]],
  ['no entry', []],
])('%s is a problem of the configuration', (_name, entries) => {
  expect(problems(list(...entries))).toContain('TRUSTED_ISSUERS');
});

it('Global Admins come of an entry without organization, unless it says otherwise, and of one with it only where it says so', () => {
  const may = (more: object) => issuersOf(list({ ...entry, ...more }))[0]?.maySupport;
  expect([may({}), may({ vendor: true }), may({ vendor: false })]).toEqual([true, true, false]);
  const organization = 'acme';
  expect([may({ organization }), may({ organization, vendor: true }), may({ organization, vendor: false })]).toEqual([
    false,
    true,
    false,
  ]);
});

it('the clocks may differ by 30 s unless configured, by 300 at most', () => {
  expect(loadTokenConfig(short).clockToleranceSeconds).toBe(30);
  expect(loadTokenConfig({ ...short, JWT_CLOCK_TOLERANCE_SECONDS: '0' }).clockToleranceSeconds).toBe(0);
  expect(problems({ ...short, JWT_CLOCK_TOLERANCE_SECONDS: '301' })).toContain('JWT_CLOCK_TOLERANCE_SECONDS');
});

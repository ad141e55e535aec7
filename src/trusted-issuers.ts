/** Whose tokens count, and how each issuer's are read: `TRUSTED_ISSUERS`, and `JWT_*` as the short form for one. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { machineScopes } from './rules/access.ts';
import { isOpaqueId } from './rules/identifier.ts';

/** Where an issuer's tokens say what: the claim of that very name, else a path into objects (`realm_access.roles`). */
export interface ClaimNames {
  roles: string;
  organization: string;
  session: string;
  scope: string;
  supportAccessGrant: string;
}

/** One issuer, and all that its tokens are judged by. */
export interface TrustedIssuer {
  /** Exactly the `iss` of its tokens. */
  issuer: string;
  /** A token must be for one of these. */
  audiences: readonly string[];
  /** Null: the one of the issuer's discovery document. */
  jwksUrl: string | null;
  claims: ClaimNames;
  /** The words that make an administrator. */
  roles: { orgAdmin: readonly string[]; globalAdmin: readonly string[] };
  /** The one organization it speaks for; null: whichever its tokens name. */
  organization: string | null;
  /** Its tokens may be a Global Admin's, and of support sessions. Of an issuer with an organization only where that is the vendor's. */
  maySupport: boolean;
  /** Clients that are machines, with what each may do, whatever their tokens' roles and scope. */
  machines: Readonly<Record<string, readonly string[]>>;
  /** Keeps its callers' keys apart from those of other issuers. Null for `JWT_*`: keys from before there were several go on counting. */
  namespace: string | null;
}

const defaults = {
  claims: {
    roles: 'roles',
    organization: 'org_id',
    session: 'sid',
    scope: 'scope',
    supportAccessGrant: 'support_access_grant_id',
  },
  roles: { orgAdmin: ['org_admin'], globalAdmin: ['global_admin'] },
} satisfies Partial<TrustedIssuer>;

const text = z.string().min(1);
const url = z.url({ protocol: /^https?$/ });
const claim = (name: keyof ClaimNames) => text.default(defaults.claims[name]);
const issuerName = text.max(255).regex(/^[\x21-\x7e]+$/, 'must be 1 to 255 visible ASCII characters');
const words = (list: string) => list.split(' ').filter((word) => word !== '');
const scopes = text
  .transform(words)
  .refine((list) => list.length > 0 && list.every((scope) => Object.hasOwn(machineScopes, scope)), {
    message: `must be words of: ${Object.keys(machineScopes).join(' ')}`,
  });

const entry = z
  .strictObject({
    issuer: issuerName,
    audience: z.union([text.transform((one) => [one]), z.array(text).min(1)]),
    jwksUrl: url.optional(),
    claims: z
      .strictObject({
        roles: claim('roles'),
        organization: claim('organization'),
        session: claim('session'),
        scope: claim('scope'),
        supportAccessGrant: claim('supportAccessGrant'),
      })
      .prefault({}),
    roles: z
      .strictObject({
        orgAdmin: z.array(text).default(defaults.roles.orgAdmin),
        globalAdmin: z.array(text).default(defaults.roles.globalAdmin),
      })
      .prefault({}),
    organization: z.string().refine(isOpaqueId, 'must be 1 to 255 printable characters').optional(),
    vendor: z.boolean().optional(),
    machines: z.record(text, scopes).default({}),
  })
  .refine(({ issuer, jwksUrl }) => jwksUrl !== undefined || url.safeParse(issuer).success, {
    path: ['jwksUrl'],
    message: 'is required where the issuer is no address to discover it from',
  });

const list = z
  .array(entry)
  .min(1)
  .max(1_000)
  .refine((entries) => new Set(entries.map(({ issuer }) => issuer)).size === entries.length, 'names an issuer twice');

/** JSON in the variable itself, or `@` and the path of a file that has it. */
const jsonOrFile = z.string().transform((given, context): unknown => {
  try {
    return JSON.parse(given.startsWith('@') ? readFileSync(given.slice(1), 'utf8') : given);
  } catch (error) {
    const isFile = given.startsWith('@');
    const message = error instanceof SyntaxError ? 'is not JSON' : 'names a file that cannot be read';
    context.addIssue({ code: 'custom', message: isFile ? `${message} (${given.slice(1)})` : message });
    return z.NEVER;
  }
});

export const issuerVariables = {
  TRUSTED_ISSUERS: jsonOrFile.pipe(list).optional(),
  JWT_ISSUER: text.optional(),
  JWT_AUDIENCE: text.optional(),
  JWKS_URL: url.optional(),
  JWT_CLAIM_ROLES: claim('roles'),
  JWT_CLAIM_ORGANIZATION: claim('organization'),
  JWT_CLAIM_SESSION: claim('session'),
  JWT_CLAIM_SCOPE: claim('scope'),
  JWT_CLAIM_SUPPORT_ACCESS_GRANT: claim('supportAccessGrant'),
  JWT_CLOCK_TOLERANCE_SECONDS: z.coerce.number().int().min(0).max(300).default(30),
};

const variables = z.object(issuerVariables);
type IssuerEnvironment = z.infer<typeof variables>;

/** What the variables say together. `JWT_*` adds its issuer to those of `TRUSTED_ISSUERS`. */
export const trustedIssuers = (e: IssuerEnvironment): TrustedIssuer[] => [
  ...(e.JWT_ISSUER === undefined ? [] : [shortForm(e, e.JWT_ISSUER)]),
  ...(e.TRUSTED_ISSUERS ?? []).map(({ audience, jwksUrl, organization, vendor, ...rest }) => ({
    ...rest,
    audiences: audience,
    jwksUrl: jwksUrl ?? null,
    organization: organization ?? null,
    maySupport: organization === undefined ? vendor !== false : vendor === true,
    namespace: rest.issuer,
  })),
];

/** Where issuers of the vendor's own say that its staff sign in. */
export const vendorOrganizations = (issuers: readonly TrustedIssuer[]): string[] =>
  issuers.flatMap(({ organization, maySupport }) => (organization !== null && maySupport ? [organization] : []));

const shortForm = (e: IssuerEnvironment, issuer: string): TrustedIssuer => ({
  issuer,
  audiences: [e.JWT_AUDIENCE ?? ''],
  jwksUrl: e.JWKS_URL ?? null,
  claims: {
    roles: e.JWT_CLAIM_ROLES,
    organization: e.JWT_CLAIM_ORGANIZATION,
    session: e.JWT_CLAIM_SESSION,
    scope: e.JWT_CLAIM_SCOPE,
    supportAccessGrant: e.JWT_CLAIM_SUPPORT_ACCESS_GRANT,
  },
  roles: defaults.roles,
  organization: null,
  maySupport: true,
  machines: {},
  namespace: null,
});

/** What is wrong with the variables together, one line each: the short form is whole or absent, and nobody's entry is written twice. */
export function issuerProblems(e: IssuerEnvironment): string[] {
  const short = { JWT_ISSUER: e.JWT_ISSUER, JWT_AUDIENCE: e.JWT_AUDIENCE, JWKS_URL: e.JWKS_URL };
  const missing = Object.entries(short).flatMap(([name, value]) =>
    value === undefined ? [`${name}: is required`] : [],
  );
  const isShort = e.TRUSTED_ISSUERS === undefined || missing.length < 3;
  const isTwice = e.TRUSTED_ISSUERS?.some(({ issuer }) => issuer === e.JWT_ISSUER) === true;
  return [
    ...(isShort ? missing : []),
    ...(isTwice ? ['JWT_ISSUER: has an entry in TRUSTED_ISSUERS too; name it once'] : []),
  ];
}

/** The same of an environment that has other problems besides; what cannot be read at all is told by its schema. */
export function issuerProblemsIn(environment: Record<string, unknown>): string[] {
  const parsed = variables.safeParse(environment);
  return parsed.success ? issuerProblems(parsed.data) : [];
}

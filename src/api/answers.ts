import type { GrantView } from '../rules/support-access-grant.ts';
import type { TerminationView } from '../rules/termination.ts';
import type { ApiContext } from './api-env.ts';
import type { WaitPreference } from './prefer.ts';

/** Where the resources of an organization are found; the id of the organization may hold any printable character. */
const inOrganization = (organizationId: string, rest: string): string =>
  `/v1/organizations/${encodeURIComponent(organizationId)}/${rest}`;

/** The answer to a termination: 200 once every chain is confirmed dead, else 202 with the resource to watch. */
export function answerTermination(
  c: ApiContext,
  termination: TerminationView,
  { applied }: Pick<WaitPreference, 'applied'>,
) {
  c.set('terminationId', termination.id);
  const preference = applied === null ? undefined : { 'Preference-Applied': applied };
  if (termination.status === 'completed') return c.json(termination, 200, preference);
  const location = inOrganization(termination.organizationId, `terminations/${termination.id}`);
  return c.json(termination, 202, { ...preference, Location: location, 'Retry-After': '1' });
}

/** The grant's tag, for `If-Match`: its revision. */
const entityTag = (grant: GrantView) => ({ ETag: `"${grant.revision}"` });

export function answerGrant(c: ApiContext, grant: GrantView) {
  c.set('grantId', grant.id);
  return c.json(grant, 200, entityTag(grant));
}

export function answerCreatedGrant(c: ApiContext, grant: GrantView) {
  c.set('grantId', grant.id);
  return c.json(grant, 201, {
    ...entityTag(grant),
    Location: inOrganization(grant.organizationId, `support-access-grants/${grant.id}`),
  });
}

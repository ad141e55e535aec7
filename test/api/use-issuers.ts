import type { JWTPayload } from 'jose';
import { afterAll } from 'vitest';
import { call } from '../harness/client.ts';
import { type Issuer, startIssuer } from '../harness/issuer.ts';
import { type Stack, useStack } from '../harness/stack.ts';

export interface Issuers {
  stack: Stack;
  /** A second one that speaks for every organization, a customer's own, and the vendor's own. */
  other: Issuer;
  customer: Issuer;
  vendor: Issuer;
  /** What has been logged. */
  log: string[];
}

export const customerOrganization = 'customer';
export const vendorOrganization = 'vendor';

/** The API with four issuers: the one of `JWT_*`, and three of `TRUSTED_ISSUERS`, found by discovery. Their keys are all called alike. */
export function useIssuers(environment: Record<string, string> = {}): Issuers {
  const log: string[] = [];
  const issuers = { log } as Issuers;
  issuers.stack = useStack({
    worker: false,
    onLog: (line) => void log.push(line),
    environment: async () => {
      const [other, customer, vendor] = await Promise.all([startIssuer('other'), startIssuer(), startIssuer()]);
      Object.assign(issuers, { other, customer, vendor });
      const machines = { reporter: 'sessions:ingest' };
      const entries = [
        { issuer: other.issuer, audience: ['elsewhere', other.audience], machines },
        { issuer: customer.issuer, audience: customer.audience, organization: customerOrganization, machines },
        { issuer: vendor.issuer, audience: vendor.audience, organization: vendorOrganization, vendor: true },
      ];
      return { LOG_LEVEL: 'info', TRUSTED_ISSUERS: JSON.stringify(entries), ...environment };
    },
  });
  afterAll(() => Promise.all([issuers.other, issuers.customer, issuers.vendor].map((issuer) => issuer.close())));
  return issuers;
}

/** What a caller with this token is told when they list the organization's terminations. */
export async function admission(stack: Stack, organizationId: string, token: string): Promise<string> {
  const { status, body } = await call(stack, 'GET', `/v1/organizations/${organizationId}/terminations`, { token });
  return status === 200 ? 'admitted' : `${status} ${String(body['code'])}`;
}

export const admin = (organizationId: string, claims: JWTPayload = {}) => ({
  sub: 'ada',
  sid: 'sid-of-ada',
  roles: ['org_admin'],
  org_id: organizationId,
  ...claims,
});

import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { ErrorCode } from '../errors.ts';
import type { AdminContext } from '../rules/access.ts';
import type { OnDecided } from '../service/index.ts';

/** What the steps before a handler leave for it, in the order in which they run. */
export interface ApiVariables {
  requestId: string;
  /** The route's path as documented (`/v1/organizations/{org}/…`); absent where no route matched. */
  routePath?: string;
  /** The organization of the path, once a verified token has asked for it; for the log. */
  organizationId?: string;
  /** The termination that was answered, for the log. */
  terminationId?: string;
  /** The grant that was answered, for the trace. */
  grantId?: string;
  /** The code of the refusal, for the log. */
  errorCode?: ErrorCode;
  admin: AdminContext;
  /** The one organization a machine's token speaks for; null: any. */
  tokenOrganizationId: string | null;
  /** The caller and nobody else: of two issuers' callers of one id each has their own. */
  callerKey: string;
  /** Asks again whether the caller may still do this; throws `ServiceError` where not. For streams. */
  askAgain: () => Promise<void>;
  /** The decoded ids of the path. */
  pathIds: Readonly<Record<string, string>>;
  /** The raw bytes of the request's body; empty where there is none. */
  bodyBytes: Uint8Array;
  /** Ties a decision to the request's `Idempotency-Key`; undefined where there is none. */
  onDecided?: OnDecided;
}

export interface ApiEnv {
  Variables: ApiVariables;
  /** Node's own request and response; absent where the app is called without a server. */
  Bindings: Partial<HttpBindings>;
}

export type ApiContext = Context<ApiEnv>;

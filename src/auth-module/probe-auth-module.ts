import type { ErrorClass } from '../rules/termination.ts';
import { type AuthModule, AuthModuleError } from './auth-module.ts';

const nobody = { organizationId: 'readiness-probe', sessionIds: ['readiness-probe'] } as const;

/**
 * For readiness: null when the Auth Module answers a real search (for a session that nobody has) by the contract, and
 * so is reachable, accepts the token and is what it is taken for; else the class of what it did. Never throws for it.
 */
export async function probeAuthModule(authModule: AuthModule, signal?: AbortSignal): Promise<ErrorClass | null> {
  try {
    await authModule.listRefreshChains(nobody, null, signal);
    return null;
  } catch (error) {
    if (error instanceof AuthModuleError) return error.errorClass;
    throw error;
  }
}

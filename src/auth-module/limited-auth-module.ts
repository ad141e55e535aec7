import type { AuthModule } from './auth-module.ts';
import type { CallSlots } from './call-slots.ts';

/** The same Auth Module, each call holding one of the slots that bound the calls in flight over all processes, fair between organizations. */
export const limitedAuthModule = (authModule: AuthModule, slots: CallSlots): AuthModule => ({
  listRefreshChains: (search, cursor, signal) =>
    slots.withSlot(search.organizationId, () => authModule.listRefreshChains(search, cursor, signal), signal),
  invalidateRefreshChains: (request, signal) =>
    slots.withSlot(request.organizationId, () => authModule.invalidateRefreshChains(request, signal), signal),
});

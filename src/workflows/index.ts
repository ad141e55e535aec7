/** The list of workflows: everything that waits. */
export { terminateSessions } from './terminate-sessions.ts';
export { supportAccessGrant } from './support-access-grant.ts';

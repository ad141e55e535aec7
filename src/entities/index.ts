/** The list of tables that are entities. */
import { AuditEvent } from './audit-event.ts';
import { Organization } from './organization.ts';
import { RefreshTokenChain } from './refresh-token-chain.ts';
import { Session } from './session.ts';
import { SupportAccessGrant } from './support-access-grant.ts';
import { Termination } from './termination.ts';
import { User } from './user.ts';

export const entities = [Organization, User, Session, RefreshTokenChain, SupportAccessGrant, Termination, AuditEvent];

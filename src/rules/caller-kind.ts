/** Person or machine: a machine is what says that it is one, never what merely lacks the claims of a person. */

/** What a token says of its client and of whom it was issued for. */
export interface CallerMarks {
  subject: string;
  /** `client_id`, `azp`, `cid`, those that are there. */
  clientIds: readonly string[];
  hasRoles: boolean;
  hasSession: boolean;
  hasSupportGrant: boolean;
  scopes: readonly string[];
}

export interface CallerKind {
  kind: 'person' | 'machine';
  /** The scopes of the operator's entry, which count in the place of the token's. */
  entryScopes: readonly string[] | null;
  rule: string;
}

/** A client asks for these on behalf of a person. (OpenID Connect Core §5.4, §11) */
const personScopes: readonly string[] = ['openid', 'profile', 'email', 'offline_access'];
/** Keycloak puts `profile email` into every service account's token, so of a client that the operator lists only these speak. */
const signInScopes: readonly string[] = ['openid', 'offline_access'];

/** Which rule makes this caller a machine, or why it is a person. `machines` are those of its issuer's entry. */
export function judgeCallerKind(marks: CallerMarks, machines: Readonly<Record<string, readonly string[]>>): CallerKind {
  const person = (rule: string): CallerKind => ({ kind: 'person', entryScopes: null, rule });
  if (marks.hasSession) return person('it names a session, and so a person');
  if (marks.hasSupportGrant) return person('it names a support access grant, and so a person');
  const listed = marks.clientIds.find((id) => Object.hasOwn(machines, id));
  const refused = (listed === undefined ? personScopes : signInScopes).find((scope) => marks.scopes.includes(scope));
  if (listed !== undefined && refused === undefined) {
    const rule = `its client ${listed} is listed in machines, and it names no session`;
    return { kind: 'machine', entryScopes: machines[listed] ?? [], rule };
  }
  if (refused !== undefined) return person(`its scope has ${refused}, which is asked for on behalf of a person`);
  if (!marks.clientIds.includes(marks.subject))
    return person('its subject is not its client (client_id, azp, cid), and no client of it is listed in machines');
  if (marks.hasRoles)
    return person('its subject is its client, but it has roles and the client is not listed in machines');
  return {
    kind: 'machine',
    entryScopes: null,
    rule: 'its subject is its client (RFC 9068), and it has neither roles nor a session',
  };
}

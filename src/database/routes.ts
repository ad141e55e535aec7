import { codeOf } from '../error-code.ts';
import { type ConnectionSettings, type Host, isSocket, type SslMode } from './connection-settings.ts';
import { sqlstateOf } from './sqlstates.ts';

/** One way to connect: where, whether encrypted, and whether the server must say that it can be written. */
export interface Route {
  host: Host;
  isEncrypted: boolean;
  required: 'any' | 'read-write' | 'primary';
  /** It was tried because a better one failed. */
  isSecondBest: boolean;
}

export interface Routes {
  /** How many ways there are. */
  count: number;
  /** The way that new connections take. */
  current(): Route;
  /** A connection by this way failed. True where another way is worth trying at once. */
  failed(route: Route, error: unknown): boolean;
  /** Where the database can be written is asked anew, from the first way on. */
  startOver: () => void;
}

/** A way that is only second best is left again after this time: the better one may be back. */
const SECOND_BEST_FOR_MS = 10_000;

/**
 * The ways of libpq, in its order (PostgreSQL manual, 32.1.1.3 and 32.19.3): each host, where the mode leaves it open
 * with and without encryption. Of several hosts one that can be written goes first, unless `target_session_attrs` says
 * `any`; where none can, one that answers, so that what only reads goes on.
 */
export function createRoutes(settings: ConnectionSettings): Routes {
  const routes = waysOf(settings);
  const [first] = routes;
  if (first === undefined) throw new Error('a database has at least one host');
  let at = 0;
  let until = 0;
  const current = () => {
    if (at > 0 && routes[at]?.isSecondBest === true && performance.now() > until) at = 0;
    return routes[at] ?? first;
  };
  return {
    count: routes.length,
    current,
    failed(route, error) {
      // somebody else who failed on it has already moved on
      if (current() !== route) return true;
      at = followerOf(routes, route, error);
      until = performance.now() + SECOND_BEST_FOR_MS;
      return at > 0;
    },
    startOver: () => void (at = 0),
  };
}

function waysOf(settings: ConnectionSettings): Route[] {
  const { hosts, target } = settings;
  const required = target ?? (hosts.length > 1 ? 'read-write' : 'any');
  const all = (of: Route['required']) =>
    hosts.flatMap((host) =>
      encryptions(settings.sslmode, host).map((isEncrypted, nth) => ({
        host,
        isEncrypted,
        required: of,
        isSecondBest: nth > 0,
      })),
    );
  if (target !== undefined || required === 'any') return all(required);
  return [...all(required), ...all('any').map((route) => ({ ...route, isSecondBest: true }))];
}

/** libpq does not encrypt a Unix socket, whatever the mode. */
function encryptions(sslmode: SslMode, host: Host): boolean[] {
  if (isSocket(host) || sslmode === 'disable') return [false];
  if (sslmode === 'prefer') return [true, false];
  return sslmode === 'allow' ? [false, true] : [true];
}

/** Where to go on: the same host otherwise encrypted, where that was the reason; else the next host; 0 at the end. */
function followerOf(routes: readonly Route[], route: Route, error: unknown): number {
  const at = routes.indexOf(route);
  const next = at + 1;
  const isSameHost = routes[next]?.host === route.host && routes[next]?.required === route.required;
  if (isSameHost && isAboutEncryption(error)) return next;
  if (!isAnotherHostBetter(error)) return 0;
  const following = routes.findIndex(
    (each, n) => n > at && (each.host !== route.host || each.required !== route.required),
  );
  return Math.max(0, following);
}

/** The server has no TLS, the two cannot agree, or its rules ask for the other kind (28000). */
const isAboutEncryption = (error: unknown): boolean =>
  codeOf(error) === '28000' ||
  /^(ERR_SSL|ERR_TLS|EPROTO)/.test(codeOf(error)) ||
  (error instanceof Error && /does not support SSL|establishing an SSL|TLS connection/.test(error.message));

/** As libpq has it: not where this server has refused us for what we are; where it is starting, or cannot be written. */
const isAnotherHostBetter = (error: unknown): boolean => {
  const code = sqlstateOf(error);
  return code === undefined || /^(57P|25006)/.test(code);
};

import type { Logger } from 'pino';
import type { KeysState } from './issuer-keys.ts';

export interface DependencyState {
  status: 'up' | 'down';
  /** An error class, never a message. */
  detail?: string;
}
/** Asks each dependency, within about a second; never rejects. */
export type AskDependencies = () => Promise<
  Record<'database' | 'temporal' | 'authModule', DependencyState> & { signingKeys: KeysState }
>;

export interface Readiness extends Awaited<ReturnType<AskDependencies>> {
  status: 'ready' | 'degraded' | 'read-only' | 'unavailable';
}

/** The page needs no token: however often it is asked, the dependencies are asked once in this time. */
const FRESH_MS = 1_000;

/**
 * Whether this process can serve. The database decides, and whether the issuers' keys were fetched once: without either
 * every call is refused. Without Temporal or the Auth Module access can still be ended and everything read, so their
 * absence is said (`degraded`) but takes no process out of service.
 */
export function createReadiness(
  ask: AskDependencies,
  logger: Logger,
  now: () => number = () => performance.now(),
): () => Promise<Readiness> {
  let last: { at: number; answer: Promise<Readiness> } | undefined;
  return () => {
    if (last === undefined || now() - last.at > FRESH_MS) last = { at: now(), answer: judge(ask, logger) };
    return last.answer;
  };
}

const isUp = ({ status }: DependencyState | KeysState): boolean => status === 'up';

function statusOf(states: Awaited<ReturnType<AskDependencies>>): Readiness['status'] {
  // out of service too: a database that is only read ends nobody's access
  if (states.database.detail === 'read-only') return 'read-only';
  if (!isUp(states.database) || states.signingKeys.status === 'down') return 'unavailable';
  return Object.values(states).every(isUp) ? 'ready' : 'degraded';
}

async function judge(ask: AskDependencies, logger: Logger): Promise<Readiness> {
  const states = await ask();
  const status = statusOf(states);
  if (status !== 'ready') logger.warn(states, `readiness: ${status}`);
  return { status, ...states };
}

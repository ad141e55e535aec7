import type { Logger } from 'pino';
import { engineFailureClass } from './engine-failure.ts';

/** A call that Temporal did not take, by what was to be done. */
export type EngineCall = 'deliver' | 'start';
export type ReportFailure = (call: EngineCall, error: unknown, ids: Readonly<Record<string, string>>) => void;

const AGAIN_AFTER_MS = 60_000;
const messages: Record<EngineCall, string> = {
  deliver: 'a decision could not be delivered yet',
  start: 'a grant could not be started; nothing was granted',
};

/** Counts every failure by its class, and logs each class once a minute: an outage is neither silent nor a flood. */
export function createReportFailure(
  logger: Logger,
  count: (call: EngineCall, failureClass: string) => void = () => undefined,
): ReportFailure {
  const loggedAt = new Map<string, number>();
  return (call, error, ids) => {
    const failureClass = engineFailureClass(error);
    count(call, failureClass);
    const key = `${call} ${failureClass}`;
    const now = performance.now();
    if (now - (loggedAt.get(key) ?? -Infinity) < AGAIN_AFTER_MS) return;
    loggedAt.set(key, now);
    logger.warn({ ...ids, class: failureClass }, messages[call]);
  };
}

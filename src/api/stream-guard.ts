import { ServiceError } from '../errors.ts';
import type { ApiContext } from './api-env.ts';

/** A stream's caller is asked for again so often, and its end follows at the latest so long after the last permission. */
const ASK_EVERY_MS = 2_500;
const CLOSE_AFTER_MS = 5_000;
const TICK_MS = 500;

export interface StreamGuard {
  /** Aborts when the stream must end; its reason is the refusal, where there is one. */
  signal: AbortSignal;
  /** Ends the watching. */
  stop: () => void;
}

/**
 * Watches over a stream while it is open. The signal aborts when the caller's right is gone or could not be confirmed
 * for 5 s (whatever the reason: a database that is away confirms nothing), when the client has left, and when the
 * process drains. The right of a stream that is open is thereby never older than 5 s.
 */
export function guardStream(c: ApiContext, draining: AbortSignal): StreamGuard {
  const end = new AbortController();
  const askAgain = c.get('askAgain');
  let confirmedAt = performance.now();
  let asking = false;

  async function ask(): Promise<void> {
    const askedAt = performance.now();
    asking = true;
    try {
      await askAgain();
      confirmedAt = askedAt;
    } catch (error) {
      end.abort(error);
    } finally {
      asking = false;
    }
  }

  const timer = setInterval(() => {
    const age = performance.now() - confirmedAt;
    if (age >= CLOSE_AFTER_MS) end.abort(unconfirmed());
    else if (age >= ASK_EVERY_MS && !asking) void ask();
  }, TICK_MS);
  const stop = () => end.abort();
  end.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  for (const other of [draining, c.req.raw.signal]) {
    if (other.aborted) stop();
    other.addEventListener('abort', stop, { once: true, signal: end.signal });
  }
  return { signal: end.signal, stop };
}

const unconfirmed = () => new ServiceError('database-unavailable', 'Your right to read this could not be confirmed.');

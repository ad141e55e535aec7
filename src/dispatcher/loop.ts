import type { Logger } from 'pino';
import { codeOf } from '../error-code.ts';

export interface Loop {
  /** Works again at once, or right after the present round. */
  wake(): void;
  /** Resolves when the present round has ended. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  name: string;
  /** One round. True: there may be more at once. A round that throws is logged, and another comes after the pause. */
  work: () => Promise<boolean>;
  pollMs: number;
  logger: Logger;
}

/** Works for ever: at once while there is more, else when woken, at the latest after `pollMs`. */
export function startLoop({ name, work, pollMs, logger }: LoopOptions): Loop {
  const stopping = new AbortController();
  let woken = false;
  let endPause: (() => void) | undefined;
  const pause = async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    endPause = resolve;
    const timer = setTimeout(resolve, pollMs);
    await promise;
    clearTimeout(timer);
    endPause = undefined;
  };
  const run = async () => {
    while (!stopping.signal.aborted) {
      woken = false;
      const more = await work().catch((error: unknown) => {
        logger.warn({ loop: name, error: codeOf(error) }, 'a round failed; another comes');
        return undefined;
      });
      // after a failure nothing wakes it early: what woke it may be what fails
      if (!stopping.signal.aborted && (more === undefined || (!more && !woken))) await pause();
    }
  };
  const running = run();
  return {
    wake() {
      woken = true;
      endPause?.();
    },
    async stop() {
      stopping.abort();
      endPause?.();
      await running;
    },
  };
}

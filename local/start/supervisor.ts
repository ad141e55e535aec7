import { setTimeout as sleep } from 'node:timers/promises';
import { explain, Problem } from '../problem.ts';
import type { Say } from '../say.ts';
import { tail } from './log-file.ts';
import { atSentenceStart, type Part, type Raised } from './part.ts';

const ENDS_IN_A_MINUTE = 5;
const RESTART_AFTER_MS = 1_000;

export interface Supervisor {
  /** `stop` waits for this work, which is done with the parts, before it ends any. */
  track(work: Promise<void>): Promise<void>;
  /** Raises a part and keeps it up. */
  raise(part: Part): Promise<void>;
  /** Ends all parts, the last one raised first; answers when nothing of them runs. */
  stop(): Promise<void>;
  /** Ends them at once; a `stop` under way then finishes. */
  kill(): void;
  /** Settles with the reason when a part could not be kept up. */
  gaveUp: Promise<string>;
  signal: AbortSignal;
}

/**
 * Keeps its parts running. A part that ends by itself is reported with its last words and raised again after a second:
 * this service is made for its processes to be killed at any moment, and somebody who tries that should see it recover.
 * A part that ends five times within a minute is beyond that.
 */
export function createSupervisor(say: Say): Supervisor {
  const running = new Map<Part, Raised | undefined>(); // in the order in which they were first asked for
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<string>();

  async function raise(part: Part): Promise<void> {
    stopping.signal.throwIfAborted();
    running.set(part, undefined);
    const raised = await part.raise(stopping.signal);
    running.set(part, raised);
    void raised.ended.then((how) => restart(part, how));
  }

  const ends = new Map<Part, number[]>();
  function endsTooOften(part: Part): boolean {
    const recent = [...(ends.get(part) ?? []), Date.now()].filter((at) => at > Date.now() - 60_000);
    ends.set(part, recent);
    return recent.length >= ENDS_IN_A_MINUTE;
  }

  /** Until it is up again, or has ended too often. What it depends on may be about to be raised again itself. */
  async function restart(part: Part, how: string): Promise<void> {
    if (stopping.signal.aborted) return;
    const title = atSentenceStart(part.title);
    say(`\n${title} ended by itself (${how}). Its last words, from ${part.logFile}:\n${tail(part.logFile)}`);
    while (!endsTooOften(part)) {
      await sleep(RESTART_AFTER_MS);
      try {
        await track(raise(part));
        return say(`${title} is up again.`);
      } catch (error) {
        if (stopping.signal.aborted) return;
        say(explain(error));
      }
    }
    giveUp(`${title} ended ${ENDS_IN_A_MINUTE} times within a minute.`);
  }

  function track(work: Promise<void>): Promise<void> {
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  }

  async function stop(): Promise<void> {
    stopping.abort(new Problem('stopped before it was up'));
    await Promise.allSettled(underWay);
    for (const [part, raised] of [...running].toReversed()) {
      if (!raised) continue;
      say(`  stopping ${part.title}`);
      await raised.stop();
    }
  }

  return {
    track,
    raise: (part) => track(raise(part)),
    stop,
    kill: () => running.forEach((raised) => raised?.kill()),
    gaveUp,
    signal: stopping.signal,
  };
}

import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const HEARTBEAT_MS = 15_000;
/** How long a client waits before it connects again (the `retry` field). */
const RECONNECT_MS = 2_000;
const heartbeat = Symbol('heartbeat');

/** A position that says what was seen: the content itself, shortened. */
export const eventId = (data: string): string => createHash('sha256').update(data).digest('base64url').slice(0, 22);

interface EventStreamOptions<T> {
  /** The events' type. */
  event: string;
  /** After this state nothing more comes. */
  isLast: (state: T) => boolean;
  lastEventId: string | undefined;
  signal: AbortSignal;
  /** Aborts when the process begins to drain. */
  draining: AbortSignal;
}

/** The last words of a process that stops, so that a client takes the end for no end of the watching. */
const farewell = `: this process is stopping; connect again\nretry: ${RECONNECT_MS}\n\n`;

/**
 * The text of an event stream (HTML, section 9.2): each state of a resource as one event, a comment when nothing has
 * happened for 15 s. Every event is the whole resource, so resuming after `lastEventId` needs no history: the present
 * state is sent unless it is the one that was seen. The last state is always sent, for it is what ends the watching.
 * A process that drains says so, with the time after which to connect again. Nothing is yielded before the first state is known.
 */
export async function* eventStream<T>(
  source: AsyncIterable<T>,
  { event, isLast, lastEventId, signal, draining }: EventStreamOptions<T>,
): AsyncGenerator<string> {
  const states = source[Symbol.asyncIterator]();
  let seen = lastEventId;
  let text = `retry: ${RECONNECT_MS}\n\n`;
  try {
    let next = states.next();
    while (!signal.aborted) {
      const result = await nextOrHeartbeat(next);
      if (result === heartbeat) {
        yield ': still running\n\n';
        continue;
      }
      if (result.done === true) break;
      const data = JSON.stringify(result.value);
      const id = eventId(data);
      if (id !== seen || isLast(result.value)) text += `event: ${event}\nid: ${id}\ndata: ${data}\n\n`;
      yield text;
      if (isLast(result.value)) return;
      text = '';
      seen = id;
      next = states.next();
    }
    if (draining.aborted) yield farewell;
  } finally {
    // not waited for: a source that is still asked for its next state answers that first
    states.return?.().catch(() => undefined);
  }
}

async function nextOrHeartbeat<R>(next: Promise<R>): Promise<R | typeof heartbeat> {
  const timer = new AbortController();
  const beat = (): typeof heartbeat => heartbeat;
  const late = sleep(HEARTBEAT_MS, undefined, { signal: timer.signal }).then(beat, beat);
  try {
    return await Promise.race([next, late]);
  } finally {
    timer.abort();
  }
}

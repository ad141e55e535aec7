import type { ApiContext } from './api-env.ts';

/** A stream's caller is asked for again so often, and its end follows at the latest so long after the last permission. */
const ASK_EVERY_MS = 2_500;
const CLOSE_AFTER_MS = 5_000;
const TICK_MS = 500;

export interface StreamGuard {
  /** Aborts when the stream must end. */
  signal: AbortSignal;
  /** Ends the watching. */
  stop: () => void;
}

/**
 * Watches over a stream while it is open. The signal aborts when the caller's right is gone or could not be confirmed
 * for 5 s (whatever the reason: a database that is away confirms nothing), when the client has left, and when the
 * process drains. The right of a stream that was opened is thereby never older than 5 s.
 */
export function guardStream(c: ApiContext, draining: AbortSignal): StreamGuard {
  const own = new AbortController();
  const askAgain = c.get('askAgain');
  let confirmedAt = performance.now();
  let asking = false;

  async function ask(): Promise<void> {
    const askedAt = performance.now();
    asking = true;
    try {
      await askAgain();
      confirmedAt = askedAt;
    } catch {
      own.abort();
    } finally {
      asking = false;
    }
  }

  const timer = setInterval(() => {
    const age = performance.now() - confirmedAt;
    if (age >= CLOSE_AFTER_MS) own.abort();
    else if (age >= ASK_EVERY_MS && !asking) void ask();
  }, TICK_MS);
  const signal = AbortSignal.any([own.signal, draining, c.req.raw.signal]);
  const stop = () => {
    clearInterval(timer);
    own.abort();
  };
  signal.addEventListener('abort', stop, { once: true });
  return { signal, stop };
}

/** How long a stream that was aborted has to end by itself, where its client still reads. */
const END_WITHIN_MS = 1_000;

/**
 * A body of text that is made as fast as it is read, and no faster. The first part is waited for, so that a refusal is
 * an answer of its own; where `source` fails later the connection is broken off, so that nobody takes a part for the
 * whole. A `HEAD` request has no body, so nothing more is made.
 */
export async function streamBody(
  c: ApiContext,
  source: AsyncGenerator<string>,
  { signal, stop }: StreamGuard,
): Promise<ReadableStream<Uint8Array>> {
  const breakOff = () => c.env?.outgoing?.destroy();
  const breakOffSoon = () => void setTimeout(breakOff, END_WITHIN_MS).unref();
  const finish = async () => {
    signal.removeEventListener('abort', breakOffSoon);
    stop();
    await source.return(undefined);
  };
  signal.addEventListener('abort', breakOffSoon, { once: true });
  const first = await source.next().catch(async (error: unknown) => {
    await finish();
    throw error;
  });
  if (c.req.method === 'HEAD') await finish();
  return textStream(first, source, { finish, breakOff });
}

function textStream(
  first: IteratorResult<string>,
  source: AsyncGenerator<string>,
  { finish, breakOff }: { finish: () => Promise<void>; breakOff: () => void },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next: IteratorResult<string> | undefined = first;
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    try {
      next ??= await source.next();
      if (next.done !== true) return controller.enqueue(encoder.encode(next.value));
    } catch {
      // here, since the adapter would write the error's message into the body
      breakOff();
    } finally {
      next = undefined;
    }
    await finish();
    controller.close();
  };
  return new ReadableStream({ pull, cancel: finish }, { highWaterMark: 0 });
}

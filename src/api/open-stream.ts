import type { Logger } from 'pino';
import { ServiceError } from '../errors.ts';
import type { ApiContext } from './api-env.ts';
import { describeUnknown } from './error-response.ts';
import { guardStream } from './stream-guard.ts';
import type { TakeStreamPlace } from './stream-limit.ts';
import { callerInOrganization } from './write-limit.ts';

/** Opens a body of text that `make` yields; its signal aborts when the stream must end. */
export type OpenStream = (
  c: ApiContext,
  make: (signal: AbortSignal) => AsyncGenerator<string>,
) => Promise<ReadableStream<Uint8Array>>;

/** How long a stream that was aborted has to end by itself, where its client still reads. */
const END_WITHIN_MS = 1_000;

interface Dependencies {
  takeStreamPlace: TakeStreamPlace;
  draining: AbortSignal;
  logger: Logger;
}

/**
 * Bodies that are made as fast as they are read, and no faster, under guard. The first part is waited for, so that a
 * refusal is an answer of its own; where the source fails later the connection is broken off, so that nobody takes a
 * part for the whole. A `HEAD` request has no body, so nothing more is made.
 */
export function createOpenStream({ takeStreamPlace, draining, logger }: Dependencies): OpenStream {
  return async function openStream(c, make) {
    const giveBack = takeStreamPlace(callerInOrganization(c.get('admin')));
    const { signal, stop } = guardStream(c, draining);
    // every end of a stream aborts its guard, also a client's who left before the first part
    if (signal.aborted) giveBack();
    else signal.addEventListener('abort', giveBack, { once: true });
    const source = make(signal);
    // destroyed rather than failed: the adapter would write the error's message into the body
    const breakOff = (error?: unknown) => {
      if (!signal.aborted)
        logger.error({ requestId: c.get('requestId'), error: describeUnknown(error) }, 'a stream failed');
      c.env?.outgoing?.destroy();
    };
    const breakOffSoon = () => void setTimeout(breakOff, END_WITHIN_MS).unref();
    const finish = async () => {
      signal.removeEventListener('abort', breakOffSoon);
      stop();
      await source.return(undefined);
    };
    signal.addEventListener('abort', breakOffSoon, { once: true });
    const first = await firstPart(source, signal, breakOff).catch(async (error: unknown) => {
      await finish();
      throw error;
    });
    if (c.req.method === 'HEAD') await finish();
    return textStream(first, source, { finish, breakOff });
  };
}

interface End {
  finish: () => Promise<void>;
  breakOff: (error?: unknown) => void;
}

/** The refusal that ended a stream before it began is its answer; a client that left, and a drain, have none. */
async function firstPart(
  source: AsyncGenerator<string>,
  signal: AbortSignal,
  breakOff: End['breakOff'],
): Promise<IteratorResult<string>> {
  try {
    return await source.next();
  } catch (error) {
    if (!signal.aborted) throw error;
    if (signal.reason instanceof ServiceError) throw signal.reason;
    breakOff();
    return { done: true, value: undefined };
  }
}

function textStream(
  first: IteratorResult<string>,
  source: AsyncGenerator<string>,
  { finish, breakOff }: End,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next: IteratorResult<string> | undefined = first;
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    try {
      next ??= await source.next();
      if (next.done !== true) return controller.enqueue(encoder.encode(next.value));
    } catch (error) {
      breakOff(error);
    } finally {
      next = undefined;
    }
    await finish();
    controller.close();
  };
  return new ReadableStream({ pull, cancel: finish }, { highWaterMark: 0 });
}

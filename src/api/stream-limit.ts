import { rateLimited } from './write-limit.ts';

/** Takes a place for a stream; what it returns gives the place back, once. Throws `rate-limited` where there is none. */
export type TakeStreamPlace = (caller: string) => () => void;

const RETRY_AFTER_SECONDS = 5;

/**
 * Bounds the streams that are open at once: each costs a connection and a question every few seconds for as long as it
 * lasts. `perCaller` is one caller's in one organization, `perProcess` everybody's together.
 */
export function createStreamLimit({ perCaller = 100, perProcess = 5_000 } = {}): TakeStreamPlace {
  const openOf = new Map<string, number>();
  let open = 0;

  function giveBack(caller: string): void {
    const left = (openOf.get(caller) ?? 1) - 1;
    if (left === 0) openOf.delete(caller);
    else openOf.set(caller, left);
    open -= 1;
  }

  return function takeStreamPlace(caller) {
    const own = openOf.get(caller) ?? 0;
    if (own >= perCaller)
      throw rateLimited(RETRY_AFTER_SECONDS, 'Too many of your streams are open in this organization.');
    if (open >= perProcess) throw rateLimited(RETRY_AFTER_SECONDS, 'Too many streams are open here; try again later.');
    openOf.set(caller, own + 1);
    open += 1;
    let taken = true;
    return () => {
      if (taken) giveBack(caller);
      taken = false;
    };
  };
}

import type { Call, Fault } from './faults.ts';

export interface Injection {
  /** How many calls it befalls; default: all, until removed or cleared. */
  times?: number;
  endpoint?: Call['endpoint'];
  when?: (call: Call) => boolean;
}

/** The faults in force. */
export function createInjections() {
  let injections: { fault: Fault; left: number; injection: Injection }[] = [];
  return {
    /** From now on; several may befall one call, in the order of injection. Returns what removes it. */
    inject(fault: Fault, injection: Injection = {}): () => void {
      const injected = { fault, left: injection.times ?? Infinity, injection };
      injections.push(injected);
      return () => void (injections = injections.filter((each) => each !== injected));
    },
    /** The faults that befall a call; each is one of its `times`. */
    befall(call: Call): Fault[] {
      const met = injections.filter(
        ({ left, injection: { endpoint, when } }) =>
          left > 0 && (endpoint ?? call.endpoint) === call.endpoint && (when?.(call) ?? true),
      );
      for (const each of met) each.left -= 1;
      return met.map(({ fault }) => fault);
    },
    clear: () => void (injections = []),
  };
}

/** Wakes one sleeper before its time. A ring while nobody sleeps is kept for the next sleep, until hushed. */
export interface Bell {
  ring(): void;
  /** Forgets a ring that was kept. */
  hush(): void;
  /** Resolves after `ms`, or at a ring. One sleeper at a time. */
  wait(ms: number): Promise<void>;
}

export function createBell(): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    hush() {
      rung = false;
    },
    wait(ms) {
      if (rung) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
  };
}

/** A terminal's Ctrl-C arrives several times: from the terminal, and from npm and run.mjs, which pass it on. */
const SAME_PRESS_MS = 1_000;

/** Settles with nothing at the first request to stop; a further one, after a second, is impatience. */
export function onStopSignal(heard: { first: () => void; again: () => void }): Promise<undefined> {
  let firstAt: number | undefined;
  // The terminal may be gone, as after SIGHUP: then nobody reads, and writing must not end us before the others.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  return new Promise((done) => {
    const onSignal = (): void => {
      if (firstAt === undefined) {
        firstAt = Date.now();
        heard.first();
        done(undefined);
      } else if (Date.now() - firstAt > SAME_PRESS_MS) heard.again();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}

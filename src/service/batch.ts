export interface BatchOptions {
  /** Calls under way at once. A question asked while fewer are is not held back. */
  lanes?: number;
  /** Questions in one call at most. */
  size?: number;
}

/**
 * Answers questions that come faster than calls return by few calls instead of one each: what is asked while every lane
 * is busy goes together into the next call. Each question is answered by a call that began after it was asked, so an
 * answer is never older than its question. `answer` gives one answer for each question, in order. Where it throws, its
 * questions fail alike, and so do those that wait: nobody waits for longer than one call takes to fail.
 */
export function createBatch<Question, Answer>(
  answer: (questions: readonly Question[]) => Promise<readonly Answer[]>,
  { lanes = 2, size = 64 }: BatchOptions = {},
): (question: Question) => Promise<Answer> {
  const waiting: { question: Question; resolve: (answer: Answer) => void; reject: (error: unknown) => void }[] = [];
  let busy = 0;
  const run = async () => {
    busy += 1;
    for (let batch = waiting.splice(0, size); batch.length > 0; batch = waiting.splice(0, size)) {
      try {
        const answers = await answer(batch.map(({ question }) => question));
        for (const [n, { resolve, reject }] of batch.entries()) {
          const own = answers[n];
          if (own === undefined) reject(new Error('a question of the batch was not answered'));
          else resolve(own);
        }
      } catch (error) {
        for (const { reject } of [...batch, ...waiting.splice(0)]) reject(error);
      }
    }
    busy -= 1;
  };
  return (question) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    waiting.push({ question, resolve, reject });
    if (busy < lanes) void run();
    return promise;
  };
}

import { failsAll } from '../database/sqlstates.ts';

interface Waiting<Question, Answer> {
  question: Question;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

export interface BatchOptions {
  /** Calls under way at once. A question asked while fewer are is not held back. */
  lanes?: number;
  /** Questions in one call at most. */
  size?: number;
  /** A call that takes longer, in milliseconds, leaves its lane to others: it holds up those that share it, nobody else. */
  patienceMs?: number;
}

/**
 * Answers questions that come faster than calls return by few calls instead of one each: what is asked while every lane
 * is busy goes together into the next call. Each question is answered by a call that began after it was asked, so an
 * answer is never older than its question. `answer` gives one answer for each question, in order. Questions of one call
 * wait for each other. Where the database is away or locked they fail alike, and so do those that wait: nobody waits for longer than
 * one call takes to fail. Any other failure is one question's own: each is then asked alone.
 */
export function createBatch<Question, Answer>(
  answer: (questions: readonly Question[]) => Promise<readonly Answer[]>,
  { lanes = 2, size = 64, patienceMs = 50 }: BatchOptions = {},
): (question: Question) => Promise<Answer> {
  const waiting: Waiting<Question, Answer>[] = [];
  const free = createLanes(lanes, patienceMs, begin);
  function begin() {
    while (waiting.length > 0 && free.count() > 0) void settle(waiting.splice(0, size)).finally(free.take());
  }
  async function settle(batch: readonly Waiting<Question, Answer>[]): Promise<void> {
    try {
      const answers = await answer(batch.map(({ question }) => question));
      for (const [n, { resolve, reject }] of batch.entries()) {
        const own = answers[n];
        if (own === undefined) reject(new Error('a question of the batch was not answered'));
        else resolve(own);
      }
    } catch (error) {
      if (failsAll(error)) for (const { reject } of [...batch, ...waiting.splice(0)]) reject(error);
      else if (batch.length > 1) await Promise.all(batch.map((one) => settle([one])));
      else batch[0]?.reject(error);
    }
  }
  return (question) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    waiting.push({ question, resolve, reject });
    begin();
    return promise;
  };
}

/** Lanes that are left when told, or when whoever took one is slower than `patienceMs`. */
function createLanes(lanes: number, patienceMs: number, onLeft: () => void) {
  let taken = 0;
  return {
    count: () => lanes - taken,
    take() {
      taken += 1;
      let isLeft = false;
      const leave = () => {
        clearTimeout(timer);
        if (isLeft) return;
        isLeft = true;
        taken -= 1;
        onLeft();
      };
      const timer = setTimeout(leave, patienceMs);
      return leave;
    },
  };
}

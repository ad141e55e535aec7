import { Counter, type Registry } from 'prom-client';
import type { Activities } from '../activities/index.ts';
import { prefix } from './naming.ts';

/** The same activities; one that finds no row for its workflow is counted: the database is behind Temporal, and somebody must know. */
export function watchedActivities(activities: Activities, registry: Registry): Activities {
  const gone = new Counter({
    name: `${prefix}rows_gone_total`,
    help: 'Workflows that found no row, by activity: the database was restored, or rows were removed by hand.',
    labelNames: ['activity'] as const,
    registers: [registry],
  });
  const watch = <Input, Answer>(activity: string, run: (input: Input) => Promise<Answer>) => {
    // from zero on: of a series that is born at one, Prometheus sees no increase
    gone.inc({ activity }, 0);
    return async (input: Input): Promise<Answer> => {
      const answer = await run(input);
      if (isGone(answer)) gone.inc({ activity });
      return answer;
    };
  };
  return {
    endSessions: watch('endSessions', activities.endSessions),
    verifyTermination: watch('verifyTermination', activities.verifyTermination),
    activateGrant: watch('activateGrant', activities.activateGrant),
    settleGrant: watch('settleGrant', activities.settleGrant),
    clearGrantSessions: watch('clearGrantSessions', activities.clearGrantSessions),
  };
}

const isGone = (answer: unknown): boolean =>
  answer === 'gone' ||
  (typeof answer === 'object' &&
    answer !== null &&
    (('outcome' in answer && answer.outcome === 'gone') || ('state' in answer && answer.state === 'gone')));

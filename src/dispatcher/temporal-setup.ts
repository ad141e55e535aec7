import type { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { Logger } from 'pino';
import { searchAttributeNames } from '../workflows/messages.ts';
import { engineFailureClass, grpcStatusOf, isNamespaceMissing } from './engine-failure.ts';

/** What the service needs in Temporal beside the server: its namespace, and the search attributes that operators filter by. */
export interface TemporalSetup {
  /**
   * Makes what is missing, again after a Temporal was replaced by an empty one; true where all is there. What Temporal does
   * not allow is told once in the log, and everything else works. Never rejects; callers at one time share one attempt.
   */
  mend(): Promise<boolean>;
  /** The names of search attributes that are missing. Rejects where Temporal does not say. */
  missingAttributes(): Promise<string[]>;
}

export interface TemporalSetupOptions {
  connection: Connection;
  namespace: string;
  logger: Logger;
}

const KEYWORD = 2; // temporal.api.enums.v1.IndexedValueType
const TIMEOUT_MS = 5_000;
/** What is refused is not asked for again sooner. */
const AGAIN_AFTER_MS = 5_000;
/** How long a namespace that is made here keeps closed workflows: what they did stands in PostgreSQL. */
const RETENTION_MS = 3 * 86_400_000;
const names = Object.values(searchAttributeNames);

export function createTemporalSetup({ connection, namespace, logger }: TemporalSetupOptions): TemporalSetup {
  const told = new Set<string>();
  let last: { at: number; mended: Promise<boolean> } | undefined;
  const within = <T>(call: () => Promise<T>) => connection.withDeadline(Date.now() + TIMEOUT_MS, call);

  const missingAttributes = async () => {
    const { customAttributes } = await within(() => connection.operatorService.listSearchAttributes({ namespace }));
    return names.filter((name) => customAttributes?.[name] === undefined);
  };
  const makeNamespace = async () => {
    try {
      await within(() => connection.workflowService.describeNamespace({ namespace }));
    } catch (error) {
      if (!isNamespaceMissing(error) && grpcStatusOf(error) !== 'not-found') throw error;
      await within(() =>
        connection.workflowService.registerNamespace({
          namespace,
          workflowExecutionRetentionPeriod: msToTs(RETENTION_MS),
        }),
      );
      logger.warn({ namespace }, 'the namespace was missing in Temporal and has been made');
    }
  };
  const makeAttributes = async () => {
    const missing = await missingAttributes();
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
    await within(() => connection.operatorService.addSearchAttributes({ namespace, searchAttributes }));
    logger.info({ namespace, names: missing }, 'search attributes made');
  };
  /** True where it is there now. What another process made in this moment is there. */
  const make = async (what: string, step: () => Promise<void>, without: string) => {
    try {
      await step();
      told.delete(what);
      return true;
    } catch (error) {
      if (grpcStatusOf(error) === 'already-exists') return true;
      if (!told.has(what))
        logger.warn({ namespace, class: engineFailureClass(error) }, `${what} could not be made; ${without}`);
      told.add(what);
      return false;
    }
  };
  const mendNow = async () =>
    (await make('the namespace', makeNamespace, 'nothing can be started in Temporal')) &&
    (await make('search attributes', makeAttributes, 'filtering in the Temporal UI will lack them'));
  return {
    mend() {
      if (last === undefined || performance.now() - last.at > AGAIN_AFTER_MS)
        last = { at: performance.now(), mended: mendNow() };
      return last.mended;
    },
    missingAttributes,
  };
}

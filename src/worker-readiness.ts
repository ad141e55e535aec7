/** Whether a worker can do its work: what it needs in Temporal can be lost after its start, with Temporal's database. */
import type { Connection } from '@temporalio/client';
import { hostname } from 'node:os';
import type { Config } from './config.ts';
import { engineFailureClass } from './dispatcher/engine-failure.ts';
import type { TemporalSetup } from './dispatcher/temporal-setup.ts';
import type { ProcessReadiness } from './metrics/metrics-server.ts';

interface State {
  status: 'up' | 'down';
  /** An error class or names of ours, never a message. */
  detail?: string;
}
export interface WorkerReadiness extends ProcessReadiness {
  namespace: State;
  /** Whether this process asks for tasks of its queue, as Temporal sees it. */
  taskQueue: State;
  /** Without them it works, and operators cannot filter: `degraded`. */
  searchAttributes: State;
}

export interface WorkerReadinessOptions {
  connection: Connection;
  setup: TemporalSetup;
  temporal: Config['temporal'];
}

const TIMEOUT_MS = 1_000;
/** However often the page is asked, Temporal is asked once in this time. */
const FRESH_MS = 1_000;
/** A poll waits for a minute at most; who has not asked for two does not ask. */
const POLLED_WITHIN_MS = 120_000;
const WORKFLOW = 1; // temporal.api.enums.v1.TaskQueueType
const ACTIVITY = 2;
/** As the SDK names a worker. */
const identity = `${process.pid}@${hostname()}`;

/** Asks, and has what is missing made again. */
export function createWorkerReadiness(options: WorkerReadinessOptions): () => Promise<WorkerReadiness> {
  let last: { at: number; answer: Promise<WorkerReadiness> } | undefined;
  return () => {
    if (last === undefined || performance.now() - last.at > FRESH_MS)
      last = { at: performance.now(), answer: judge(options) };
    return last.answer;
  };
}

async function judge({ connection, setup, temporal }: WorkerReadinessOptions): Promise<WorkerReadiness> {
  const { namespace } = temporal;
  const states = {
    namespace: await settle(() =>
      within(connection, () => connection.workflowService.describeNamespace({ namespace })),
    ),
    taskQueue: await settle(() => pollsMissing(connection, temporal)),
    searchAttributes: await settle(async () => (await setup.missingAttributes()).join(', ')),
  };
  const { status } = statusOf(states);
  if (status !== 'ready') void setup.mend();
  return { status, ...states };
}

const statusOf = ({ namespace, taskQueue, searchAttributes }: Omit<WorkerReadiness, 'status'>): ProcessReadiness => {
  if (namespace.status === 'down' || taskQueue.status === 'down') return { status: 'unavailable' };
  return { status: searchAttributes.status === 'down' ? 'degraded' : 'ready' };
};

const within = <T>(connection: Connection, call: () => Promise<T>): Promise<T> =>
  connection.withDeadline(Date.now() + TIMEOUT_MS, call);

/** Down where it fails, or where it names what is missing. */
async function settle(ask: () => Promise<unknown>): Promise<State> {
  try {
    const missing = await ask();
    return typeof missing === 'string' && missing !== '' ? { status: 'down', detail: missing } : { status: 'up' };
  } catch (error) {
    return { status: 'down', detail: engineFailureClass(error) };
  }
}

/** The kinds of tasks that this process does not ask for. */
async function pollsMissing(connection: Connection, { namespace, taskQueue }: Config['temporal']): Promise<string> {
  const since = Date.now() - POLLED_WITHIN_MS;
  const isPolled = async (taskQueueType: number) => {
    const { pollers } = await within(connection, () =>
      // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum itself is in no package that runs here
      connection.workflowService.describeTaskQueue({ namespace, taskQueue: { name: taskQueue }, taskQueueType }),
    );
    return pollers?.some(
      (poller) => poller.identity === identity && Number(poller.lastAccessTime?.seconds ?? 0) * 1_000 > since,
    );
  };
  const [workflows, activities] = await Promise.all([isPolled(WORKFLOW), isPolled(ACTIVITY)]);
  return [workflows ? [] : ['workflows are not polled'], activities ? [] : ['activities are not polled']]
    .flat()
    .join(', ');
}

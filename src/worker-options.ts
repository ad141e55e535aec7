import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WorkerOptions } from '@temporalio/worker';
import { failByCode } from './activities/fail-by-code.ts';
import type { Config } from './config.ts';
import { traceActivities, traceWorkflows } from './tracing/temporal.ts';
import type { Tracing } from './tracing/tracing.ts';
import { workflowSources } from './workflow-sources.ts';

const bundle = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url));

/**
 * What every worker of this process has in common. A bundle built ahead (in the image) is used where it lies beside the
 * sources; else it is made at start, in about two seconds.
 */
export function workerOptions(config: Config, tracing: Tracing, overrides: Partial<WorkerOptions>): WorkerOptions {
  const { workflowsPath, workflowInterceptorModules } = workflowSources;
  const isBundled = overrides.workflowBundle !== undefined || existsSync(bundle);
  return {
    namespace: config.temporal.namespace,
    taskQueue: config.temporal.taskQueue,
    ...(isBundled ? { workflowBundle: { codePath: bundle } } : { workflowsPath }),
    interceptors: {
      activity: [failByCode, traceActivities(tracing)],
      // a bundle has them already
      workflowModules: isBundled ? [] : workflowInterceptorModules,
    },
    // also where tracing is off: a workflow that was begun with it tells of its trace all the same
    sinks: traceWorkflows(tracing),
    maxCachedWorkflows: 500,
    maxConcurrentActivityTaskExecutions: 50,
    // finish what runs, then tell it to stop, then go: the process has ended before its orchestrator's patience does
    shutdownGraceTime: config.shutdownGraceSeconds * 600,
    shutdownForceTime: config.shutdownGraceSeconds * 850,
    ...overrides,
  };
}

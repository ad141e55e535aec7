/** The worker's own process, with the bundle that the run has made once instead of one of its own. */
import { runWorker } from '../../src/worker.ts';

await runWorker({ workflowBundle: { codePath: process.env['WORKFLOW_BUNDLE_PATH'] ?? '' }, workflowsPath: undefined });

/** Builds the workflow bundle ahead, to where the worker looks for it: `node src/bundle-workflows.ts`, in the image. */
import { writeFileSync } from 'node:fs';
import { bundleWorkflowCode } from '@temporalio/worker';
import { workflowSources } from './workflow-sources.ts';

const { code } = await bundleWorkflowCode(workflowSources);
writeFileSync(new URL('../workflow-bundle.js', import.meta.url), code);

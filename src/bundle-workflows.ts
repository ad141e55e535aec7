/** Builds the workflow bundle ahead, to where the worker looks for it: `node src/bundle-workflows.ts`, in the image. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const { code } = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('./workflows/index.ts', import.meta.url)),
});
writeFileSync(new URL('../workflow-bundle.js', import.meta.url), code);

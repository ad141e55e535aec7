import { fileURLToPath } from 'node:url';

const path = (file: string) => fileURLToPath(new URL(`./workflows/${file}`, import.meta.url));

/** What a workflow bundle is made of, wherever one is made. */
export const workflowSources = {
  workflowsPath: path('index.ts'),
  workflowInterceptorModules: [path('carry-trace.ts')],
};

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['./test/global-setup.ts'],
    // the native Temporal module does not survive worker threads; one process for many files saves most of the imports
    pool: 'forks',
    isolate: false,
    // one file at a time: they share two cores, and a race is judged by its own load, not by its neighbour's
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});

/** Raises, once for the whole run: one PostgreSQL cluster with a migrated template, one Temporal server, one workflow bundle. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { createDatabase, ensurePostgres } from '../local/embedded-postgres.ts';
import { freePort } from '../local/ports.ts';
import { findTemporalCli } from '../local/temporal-cli.ts';
import { startTemporal } from '../local/temporal-server.ts';
import { migrate } from '../src/migrate.ts';
import { workflowSources } from '../src/workflow-sources.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The cluster's superuser address, database `postgres`. */
    postgresUrl: string;
    /** The migrated database that each file clones. */
    templateDatabase: string;
    temporalAddress: string;
    temporalCli: string;
    workflowBundlePath: string;
  }
}

/** Skipping time is a feature flag of the server; without the second one each skip costs a second. */
const timeSkipping = [
  '--dynamic-config-value',
  'frontend.WorkflowTimeSkippingEnabled=true',
  '--dynamic-config-value',
  'history.timerProcessorMaxTimeShift="20ms"',
];

/** Tests may lose data in a crash of the machine, and ask in which order transactions have committed. */
const careless = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_connections: '400',
  track_commit_timestamp: 'on',
};

export default async function setup(project: TestProject) {
  const cli = await findTemporalCli({ log: (line) => process.stdout.write(`${line}\n`) });
  const directory = mkdtempSync(join(tmpdir(), 'session-management-test-'));
  const [postgres, temporal, bundle] = await Promise.all([
    ensurePostgres({ dataDir: fileURLToPath(new URL('../.data/test-postgres', import.meta.url)), settings: careless }),
    freePort().then((port) => startTemporal({ cli, port, namespace: 'default', extraArgs: timeSkipping })),
    bundleWorkflowCode({ ...workflowSources, logger: new DefaultLogger('ERROR') }),
  ]);
  const bundlePath = join(directory, 'workflow-bundle.js');
  writeFileSync(bundlePath, bundle.code);
  const template = `template_${process.pid}`;
  await dropLeftDatabases(postgres.url);
  await migrate(await createDatabase(postgres.url, template));
  project.provide('postgresUrl', postgres.url);
  project.provide('templateDatabase', template);
  project.provide('temporalAddress', temporal.address);
  project.provide('temporalCli', cli);
  project.provide('workflowBundlePath', bundlePath);
  return async () => {
    await temporal.stop();
    await dropLeftDatabases(postgres.url);
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  };
}

/** Databases of this run and of runs that were killed; another run beside this one keeps its own. */
async function dropLeftDatabases(url: string): Promise<void> {
  const isLeft = (name: string) => {
    const pid = Number(/^[a-z]+_(\d+)/.exec(name)?.[1]);
    if (pid === process.pid) return true;
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  };
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const { rows } = await admin.query<{ datname: string }>(
    `select datname from pg_database where datname ~ '^(test|template)_[0-9]+(_|$)'`,
  );
  for (const { datname } of rows.filter((database) => isLeft(database.datname)))
    await admin.query(`drop database if exists ${admin.escapeIdentifier(datname)} with (force)`);
  await admin.end();
}

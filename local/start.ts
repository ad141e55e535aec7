import { join } from 'node:path';
import { createDatabase } from './embedded-postgres.ts';
import { requireFreePort } from './ports.ts';
import { explain } from './problem.ts';
import { writeRunningSystem } from './running-file.ts';
import { say } from './say.ts';
import { demoOrganization, seedDemoOrganization } from './start/demo-organization.ts';
import { postgresPart, temporalPart } from './start/infrastructure.ts';
import { beginLog } from './start/log-file.ts';
import { runOnce } from './start/run-once.ts';
import { screen } from './start/screen.ts';
import { keptSecret, keptSigningKey } from './start/secret.ts';
import * as parts from './start/service-parts.ts';
import { dataDirectory, logFile } from './paths.ts';
import { readSettings, type Settings } from './start/settings.ts';
import { onStopSignal } from './start/stop-signal.ts';
import { createSupervisor, type Supervisor } from './start/supervisor.ts';
import { becomeTheOnlyOne, resign, stopLeftovers } from './start/take-over.ts';

/** `npm start`: the whole system on this machine, until Ctrl-C. */
async function start(): Promise<void> {
  const settings = readSettings();
  becomeTheOnlyOne();
  const supervisor = createSupervisor(say);
  const stopRequested = onStopSignal({ first: () => say('\nStopping …'), again: () => supervisor.kill() });
  try {
    const raised = supervisor.track(raiseEverything(settings, supervisor)).then(() => supervisor.gaveUp);
    const failure = await Promise.race([raised, stopRequested]);
    if (failure) fail(failure);
  } catch (error) {
    fail(explain(error));
  } finally {
    await supervisor.stop();
    resign();
  }
}

async function raiseEverything(settings: Settings, supervisor: Supervisor): Promise<void> {
  await stopLeftovers(say);
  await requirePorts(settings);
  for (const name of ['api', 'worker', 'auth-module', 'temporal']) beginLog(logFile(name));

  say('Starting PostgreSQL and Temporal …');
  const wiring = await raiseInfrastructure(settings, supervisor);
  const environment = parts.serviceEnvironment(settings, wiring);
  await runOnce('migration', 'src/migrate.ts', environment);
  say(`Starting ${wiring.authModuleDatabaseUrl ? 'the Auth Module, ' : ''}a worker and the API …`);
  const processes = [parts.workerPart(environment), parts.apiPart(settings, environment)];
  if (wiring.authModuleDatabaseUrl) processes.unshift(parts.authModulePart(settings, wiring));
  await Promise.all(processes.map((part) => supervisor.raise(part))); // stopped in the reverse of this order
  supervisor.signal.throwIfAborted();
  await present(settings, wiring);
}

/** Before anything is raised: the most frequent mishap is told at once, and leaves nothing half started. */
async function requirePorts(settings: Settings): Promise<void> {
  await requireFreePort(settings.PORT, 'API', 'PORT');
  if (settings.AUTH_MODULE_URL) return;
  await requireFreePort(settings.REFERENCE_AUTH_MODULE_PORT, 'reference Auth Module', 'REFERENCE_AUTH_MODULE_PORT');
}

async function raiseInfrastructure(settings: Settings, supervisor: Supervisor): Promise<parts.Wiring> {
  const { DATABASE_URL, TEMPORAL_ADDRESS, AUTH_MODULE_URL, REFERENCE_AUTH_MODULE_DATABASE_URL } = settings;
  const needsOwnDatabase = !AUTH_MODULE_URL && !REFERENCE_AUTH_MODULE_DATABASE_URL;
  let cluster = '';
  const postgres = postgresPart(settings, (url) => (cluster = url));
  const raising = [];
  if (!DATABASE_URL || needsOwnDatabase) raising.push(supervisor.raise(postgres));
  if (!TEMPORAL_ADDRESS) raising.push(supervisor.raise(temporalPart(settings, say)));
  await Promise.all(raising);
  return {
    databaseUrl: DATABASE_URL ?? (await createDatabase(cluster, 'session_management')),
    temporalAddress: TEMPORAL_ADDRESS ?? `127.0.0.1:${settings.TEMPORAL_PORT}`,
    authModuleToken: settings.AUTH_MODULE_TOKEN ?? keptSecret(join(dataDirectory, 'auth-module-token')),
    auditSigningKey: `@${keptSigningKey(join(dataDirectory, 'audit-signing-key.json'))}`,
    authModuleDatabaseUrl: needsOwnDatabase
      ? await createDatabase(cluster, 'auth_module')
      : AUTH_MODULE_URL
        ? undefined
        : REFERENCE_AUTH_MODULE_DATABASE_URL,
  };
}

async function present(settings: Settings, { authModuleToken }: parts.Wiring): Promise<void> {
  const urls = { apiUrl: parts.apiUrl(settings), authModuleUrl: parts.authModuleUrl(settings) };
  const seeded = settings.AUTH_MODULE_URL ? undefined : await seedDemoOrganization({ ...urls, authModuleToken });
  const demo = seeded && { authModuleToken, organization: demoOrganization, adminToken: seeded.adminToken };
  const temporalUiUrl = settings.TEMPORAL_ADDRESS ? null : `http://127.0.0.1:${settings.TEMPORAL_UI_PORT}`;
  const system = { ...urls, temporalUiUrl, demo: demo ?? null };
  writeRunningSystem(system);
  say(screen(system, seeded?.sessionId));
}

function fail(message: string): void {
  say(`\n${message}`);
  process.exitCode = 1;
}

try {
  await start();
} catch (error) {
  fail(explain(error));
}
// The log says everything by now; a timer of a library must not keep the terminal waiting.
process.exit();

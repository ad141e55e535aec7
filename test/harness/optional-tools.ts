/** The one list of tools that a test may need and a machine may lack. Where a tool is missing, its tests are skipped; `.ci/run` fails where it is installed and one of them did not run. */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

interface OptionalTool {
  /** Where it says where the tool is, this alone is looked at. */
  variable: string;
  /** Names to look for in `PATH`, or absolute paths; the first that is found is it. */
  candidates: readonly string[];
  /** The test files that need it. */
  files: readonly string[];
}

export const optionalTools = {
  chromium: {
    variable: 'CHROMIUM_PATH',
    candidates: ['chromium', 'chromium-browser', 'google-chrome'],
    files: ['test/browser/admin-frontend.test.ts'],
  },
  pgbouncer: {
    variable: 'PGBOUNCER_PATH',
    candidates: ['pgbouncer', '/usr/sbin/pgbouncer', '/usr/local/sbin/pgbouncer'],
    files: ['test/database/pooled.test.ts'],
  },
  /** `initdb` of a PostgreSQL before 18, beside its `postgres`. */
  olderPostgres: {
    variable: 'OLDER_POSTGRES_INITDB_PATH',
    candidates: [17, 16, 15, 14, 13].map((version) => `/usr/lib/postgresql/${version}/bin/initdb`),
    files: ['test/database/old-server.test.ts'],
  },
  libfaketime: {
    variable: 'LIBFAKETIME_PATH',
    candidates: ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`),
    files: ['test/terminations/moved-server-clock.test.ts'],
  },
} as const satisfies Record<string, OptionalTool>;

export type OptionalToolName = keyof typeof optionalTools;

/** Where a tool is; undefined where it is not installed. */
export function findTool(name: OptionalToolName, environment = process.env): string | undefined {
  const { variable, candidates }: OptionalTool = optionalTools[name];
  const given = environment[variable];
  const looked = given === undefined || given === '' ? candidates : [given];
  return looked.flatMap((each) => placesOf(each, environment['PATH'] ?? '')).find(exists);
}

const placesOf = (candidate: string, path: string): string[] =>
  isAbsolute(candidate) ? [candidate] : path.split(delimiter).map((directory) => join(directory, candidate));

function exists(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where a tool is, for a test file that needs it; where it is missing, undefined and one line that says so. */
export function toolFor(name: OptionalToolName): string | undefined {
  const path = findTool(name);
  const { variable }: OptionalTool = optionalTools[name];
  if (path === undefined)
    process.stdout.write(`skipped: ${name} is not installed (or say where it is in ${variable})\n`);
  return path;
}

interface Results {
  testResults: { name: string; assertionResults: { status: string }[] }[];
}

/** One line for each test file that did not run whole though its tool is installed; from vitest's JSON report. */
export const unrunFiles = (
  { testResults }: Results,
  isInstalled: (name: OptionalToolName) => boolean = (name) => findTool(name) !== undefined,
): string[] =>
  Object.entries(optionalTools).flatMap(([name, { files }]: [string, OptionalTool]) => {
    if (!isInstalled(name as OptionalToolName)) return [];
    return files
      .filter((file) => !ranWhole(testResults.find((result) => result.name.endsWith(`/${file}`))))
      .map((file) => `${file} did not run though ${name} is installed`);
  });

const ranWhole = (file: Results['testResults'][number] | undefined): boolean =>
  file !== undefined &&
  file.assertionResults.length > 0 &&
  file.assertionResults.every(({ status }) => status === 'passed' || status === 'failed');

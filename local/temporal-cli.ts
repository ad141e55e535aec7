import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withFileLock } from './file-lock.ts';
import { messageOf } from './error-code.ts';
import { Problem } from './problem.ts';
import type { Say } from './say.ts';
import { buildCli, findGo } from './temporal/build.ts';
import { cachedProgram, requireCacheDirectory } from './temporal/cache.ts';
import { downloadCli } from './temporal/download.ts';
import { CLI_VERSION, isRecentEnough, versionOf } from './temporal/version.ts';

export interface FindOptions {
  /** Hears what takes long, and what was passed over. */
  log: Say;
  /** Ends fetching and building. */
  signal?: AbortSignal;
}

/**
 * The path of a Temporal CLI that is recent enough: TEMPORAL_CLI_PATH, then PATH, then the user's cache; else fetched,
 * else built, into that cache. Two that look at once fetch or build once. What is passed over is said in one line.
 */
export async function findTemporalCli(options: FindOptions): Promise<string> {
  return (await findInstalled(options.log)) ?? (await obtain(options));
}

async function findInstalled(log: Say): Promise<string | undefined> {
  const named = process.env['TEMPORAL_CLI_PATH'];
  if (named && (await isUsable(named, log))) return named;
  const onPath = findOnPath();
  if (onPath && (await isUsable(onPath, log))) return onPath;
  const cached = cachedProgram();
  return existsSync(cached) && (await isUsable(cached, log)) ? cached : undefined;
}

function findOnPath(): string | undefined {
  const name = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

async function isUsable(program: string, log: Say): Promise<boolean> {
  const version = await versionOf(program);
  if (version && isRecentEnough(version)) return true;
  log(
    `Passed over ${program}: it is ${version ?? 'not a Temporal CLI that runs here'}; ${CLI_VERSION} or newer is needed.`,
  );
  return false;
}

/** Puts the program into the cache. Whoever comes second waits for the first. */
async function obtain({ log, signal = new AbortController().signal }: FindOptions): Promise<string> {
  requireCacheDirectory();
  const program = cachedProgram();
  const waiting = ({ pid }: { pid: number }): void =>
    log(`Process ${pid} is getting the Temporal CLI; waiting for it …`);
  await withFileLock(
    `${program}.lock`,
    async () => {
      if (existsSync(program) && (await versionOf(program)) === CLI_VERSION) return; // got meanwhile
      if (await downloadCli(log, signal)) return;
      await build(log, signal);
    },
    waiting,
  );
  return program;
}

async function build(log: Say, signal: AbortSignal): Promise<void> {
  const ways =
    `Install the Temporal CLI ${CLI_VERSION} (https://docs.temporal.io/cli) and put it on PATH or name it in ` +
    'TEMPORAL_CLI_PATH, or install Go 1.26.8 or newer (https://go.dev/dl) so that it can be built, or set ' +
    'TEMPORAL_ADDRESS to a running Temporal.';
  const go = findGo();
  if (!go) throw new Problem(`No Temporal CLI was found, and it could not be downloaded.\n${ways}`);
  try {
    await buildCli(go, log, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new Problem(`The Temporal CLI could not be built.\n${messageOf(error)}\n${ways}`);
  }
}

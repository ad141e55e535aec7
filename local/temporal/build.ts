import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Problem } from '../problem.ts';
import type { Say } from '../say.ts';
import { cacheDirectory, cachedProgram } from './cache.ts';
import { CLI_VERSION } from './version.ts';

const PACKAGE = 'github.com/temporalio/cli/cmd/temporal';
const PACKAGES_ABOUT = 1_800;
const TELL_EVERY_MS = 15_000;

/** The Go command, if there is one; its installer puts it where not every shell looks. */
export function findGo(): string | undefined {
  const name = process.platform === 'win32' ? 'go.exe' : 'go';
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin'];
  return directories
    .filter(Boolean)
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path));
}

/**
 * Compiles the Temporal CLI from the sources that tools/temporal-cli pins by hash, into the cache.
 * An interrupted build leaves nothing there under the program's name.
 */
export async function buildCli(go: string, say: Say, signal: AbortSignal): Promise<void> {
  say(`Building the Temporal CLI ${CLI_VERSION} with Go, once for this user: usually 3 to 7 minutes …`);
  const began = Date.now();
  const part = `${cachedProgram()}.${process.pid}.part`;
  const version = `-X github.com/temporalio/cli/internal/temporalcli.Version=${CLI_VERSION}`;
  try {
    await run(go, ['build', '-v', '-trimpath', '-ldflags', `-s -w ${version}`, '-o', part, PACKAGE], say, signal);
    renameSync(part, cachedProgram());
  } finally {
    rmSync(part, { force: true });
  }
  say(`Built in ${duration(Date.now() - began)}.`);
}

async function run(go: string, args: string[], say: Say, signal: AbortSignal): Promise<void> {
  const child = spawn(go, args, {
    cwd: fileURLToPath(new URL('../../tools/temporal-cli', import.meta.url)),
    env: { ...process.env, ...goCaches(), CGO_ENABLED: '0', GOWORK: 'off' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Its compilers, of a second or two each, are let finish; no further one is begun.
  const stop = (): void => void child.kill('SIGINT');
  signal.addEventListener('abort', stop);
  process.once('exit', stop);
  const watched = watch(createInterface({ input: child.stderr }), say);
  try {
    const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done));
    if (code !== 0) throw new Problem(`go build failed:\n${watched.lastLines.join('\n')}`);
  } finally {
    clearInterval(watched.timer);
    signal.removeEventListener('abort', stop);
    process.off('exit', stop);
  }
}

/** Tells now and then how far it is: with -v Go names each package that it compiles, and each module that it fetches. */
function watch(lines: AsyncIterable<string>, say: Say): { lastLines: string[]; timer: NodeJS.Timeout } {
  const began = Date.now();
  const lastLines: string[] = [];
  let compiled = 0;
  let fetched = 0;
  const timer = setInterval(() => {
    const modules = fetched > 0 ? `, ${fetched} modules fetched` : '';
    say(`  ${duration(Date.now() - began)}: ${compiled} of about ${PACKAGES_ABOUT} packages compiled${modules}`);
  }, TELL_EVERY_MS);
  void (async () => {
    for await (const line of lines) {
      if (line.startsWith('go: downloading ')) fetched++;
      else if (/^[\w.-]+(\/\S*)?$/.test(line)) compiled++;
      else lastLines.push(line);
      lastLines.splice(0, lastLines.length - 15);
    }
  })();
  return { lastLines, timer };
}

/** Go keeps sources and objects in the home directory; where that cannot be written to, beside our program. */
function goCaches(): Record<string, string> {
  try {
    accessSync(homedir(), constants.W_OK);
    return {};
  } catch {
    return { GOPATH: join(cacheDirectory(), 'go'), GOCACHE: join(cacheDirectory(), 'go-build') };
  }
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

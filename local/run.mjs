// Runs one TypeScript file of this project: `node local/run.mjs local/start.ts [arguments]`.
//
// Plain JavaScript without dependencies, for it is the only file that the system's own Node (20.17 or newer) has to
// understand. It guarantees: what package-lock.json asks for is installed before the file runs; the file runs under
// Node 24 or newer; arguments, streams, signals and the exit code are the file's own.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installWhatIsMissing } from './install.mjs';

const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const STRIPS_TYPES = 24; // the first long-term release that runs TypeScript without a flag or a warning

/** The Node that runs TypeScript: this one if it is new enough, else the one that npm installed for this platform. */
function findNode() {
  if (Number.parseInt(process.versions.node, 10) >= STRIPS_TYPES) return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  for (const name of [`node-${platform}`, `node-bin-${platform}`]) {
    const path = join(root, 'node_modules', name, 'bin', 'node');
    if (existsSync(path)) return path;
  }
  throw new Error(
    `Node ${STRIPS_TYPES} is needed and npm has none for ${platform} (this is ${process.version}). ` +
      'Install it, or run npm ci without --omit=optional.',
  );
}

/** Becomes the program where the platform can (same process id, nothing to forward), else runs it as a child. */
function run(node, args) {
  if (process.execve && process.platform !== 'win32') process.execve(node, [node, ...args], process.env);
  const child = spawn(node, args, { stdio: 'inherit' });
  // A terminal's Ctrl-C reaches the child as well, as part of the foreground group, so it may see the signal twice.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => fail(error));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

function fail(error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

const [file, ...args] = process.argv.slice(2);
try {
  if (!file) throw new Error('usage: node local/run.mjs <file.ts> [arguments]');
  // The service's own processes need no development packages; everything around it does.
  await installWhatIsMissing({ root, production: /^src[\\/]/.test(file) });
  run(findNode(), [join(root, file), ...args]);
} catch (error) {
  fail(error);
}

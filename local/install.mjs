// Decides whether node_modules is what package-lock.json asks for, and runs `npm ci` if it is not.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Afterwards every package that is needed is installed in the locked version. Two that start at once install once.
 * `production: true` is content with an installation made with --omit=dev, --omit=optional or without a lock file
 * (an image), and leaves it as it is.
 */
export async function installWhatIsMissing({ root, production }) {
  if (!missingPackage(root, production)) return;
  await locked(join(root, '.data'), async () => {
    const missing = missingPackage(root, production); // another process may have installed meanwhile
    if (missing) await install(root, missing, production);
  });
}

/**
 * The first package of the lock that node_modules lacks or has in another version. npm writes its own record of what is
 * installed as the last step, so an interrupted installation counts as none.
 */
function missingPackage(root, production) {
  const wanted = packagesOf(join(root, 'package-lock.json'));
  if (!wanted) return undefined;
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  if (!installed) return 'node_modules';
  const unneeded = (entry) => entry.optional || entry.peer || (production && (entry.dev || entry.devOptional));
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || entry.link) continue;
    const found = installed[path];
    if (found ? found.version !== entry.version : !unneeded(entry)) return path;
  }
  return undefined;
}

function packagesOf(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function install(root, missing, production) {
  process.stderr.write(`Installing packages (${missing} is missing or out of date) …\n`);
  // NODE_ENV=production would leave out what `npm start` and `npm test` are made of.
  const args = [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    ...(production ? [] : ['--include=dev', '--include=optional']),
  ];
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const child = spawn(npm, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 1000);
  const ticker = setInterval(() => process.stderr.write(`  still installing, ${seconds()} s\n`), 10_000);
  return new Promise((done, fail) => {
    child.once('error', (error) =>
      fail(new Error(`npm could not be run (${error.message}). Install npm, then try again.`)),
    );
    child.once('exit', (code) => {
      if (code !== 0) return fail(new Error(`npm ci failed (exit ${code}), see above.`));
      process.stderr.write(`Installed in ${seconds()} s.\n`);
      return done();
    });
  }).finally(() => clearInterval(ticker));
}

/** One installer at a time: npm ci empties node_modules first. A lock left by a dead process is taken over. */
async function locked(directory, work) {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'install.lock');
  while (!take(file)) await sleep(200);
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    await work();
  } finally {
    release();
    process.off('exit', release);
  }
}

function take(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  try {
    // Without an id in it, its writer is between creating and writing it, or died there.
    const owner = Number(readFileSync(file, 'utf8'));
    if (owner > 0) process.kill(owner, 0);
    else if (Date.now() - statSync(file).mtimeMs > 10_000) rmSync(file, { force: true });
  } catch (error) {
    if (error.code === 'ESRCH') rmSync(file, { force: true });
  }
  return false;
}

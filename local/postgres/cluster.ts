import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Problem } from '../problem.ts';
import { giveToServer, isReachable, rootStateDirectory, serverAccount } from './account.ts';

/** Where the data really lies: as asked, but for root in a private directory, which the server could not enter. */
export function whereDataLies(asked: string): string {
  const dataDir = resolve(asked);
  mkdirSync(dirname(dataDir), { recursive: true });
  if (isReachable(dirname(dataDir))) return dataDir;
  const elsewhere = join(rootStateDirectory(), 'data', dataDir.replaceAll(/[^A-Za-z0-9.-]+/g, '_'));
  mkdirSync(dirname(elsewhere), { recursive: true, mode: 0o755 });
  return elsewhere;
}

/** The superuser's password: random, readable by the owner only, since every local user can reach the port. */
export function password(dataDir: string): string {
  const file = `${dataDir}.password`;
  if (!existsSync(file)) {
    if (existsSync(dataDir)) throw new Problem(`${file} is lost. Restore it, or delete ${dataDir} to begin anew.`);
    writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' });
  }
  return readFileSync(file, 'utf8');
}

/** Makes the cluster unless it exists. One that was interrupted in the making never gets the real name. */
export async function createCluster(initdb: string, dataDir: string): Promise<void> {
  if (existsSync(join(dataDir, 'PG_VERSION'))) return;
  const part = `${dataDir}.part`;
  const passwordFile = `${part}.password`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { mode: 0o700 });
  writeFileSync(passwordFile, password(dataDir), { mode: 0o600 });
  for (const path of [part, passwordFile]) giveToServer(path);
  const login = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`];
  // The builtin provider: the package's ICU is old, and the C library's order differs between systems.
  const text = ['-E', 'UTF8', '--locale-provider=builtin', '--locale=C.UTF-8'];
  try {
    await run(initdb, ['-D', part, ...login, ...text, '--no-instructions']);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(part, dataDir);
}

function run(program: string, args: string[]): Promise<void> {
  return new Promise((done, fail) => {
    // The server's account may not be able to enter our working directory.
    const child = spawn(program, args, { ...serverAccount, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.once('error', fail).once('close', (code) => {
      if (code === 0) done();
      else fail(new Problem(`PostgreSQL's data could not be created (${program}, exit ${code}):\n${output}`));
    });
  });
}

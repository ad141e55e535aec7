import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../error-code.ts';
import { Problem } from '../problem.ts';
import { CLI_VERSION } from './version.ts';

/** Outside the checkout, so that a fresh clone does not fetch or build again what its user has. */
export function cacheDirectory(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'session-management-service');
}

/** Where the program lies, or will lie once it is fetched. */
export function cachedProgram(): string {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return join(cacheDirectory(), `temporal-${CLI_VERSION}${suffix}`);
}

/** Afterwards the directory exists and may be written to. */
export function requireCacheDirectory(): void {
  try {
    mkdirSync(cacheDirectory(), { recursive: true });
    accessSync(cacheDirectory(), constants.W_OK);
  } catch (error) {
    throw new Problem(
      `The Temporal CLI has to be kept somewhere, and ${cacheDirectory()} cannot be written to (${messageOf(error)}). ` +
        'Set XDG_CACHE_HOME to a directory of yours, or TEMPORAL_CLI_PATH to a Temporal CLI.',
    );
  }
}

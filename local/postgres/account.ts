import { chownSync, existsSync, statSync } from 'node:fs';
import { dirname, join, parse, resolve } from 'node:path';

/** PostgreSQL refuses to run as root. "nobody" exists on every system; initdb wants an account with a name. */
const NOBODY = 65534;

export const isRoot = process.getuid?.() === 0;

/** Who the server runs as: ourselves, or for root the account without rights. Options for `spawn`. */
export const serverAccount: { uid?: number; gid?: number } = isRoot ? { uid: NOBODY, gid: NOBODY } : {};

export function giveToServer(path: string): void {
  if (isRoot) chownSync(path, NOBODY, NOBODY);
}

/** Whether the account of the server can enter this directory: each one above it must be searchable by others. */
export function isReachable(path: string): boolean {
  if (!isRoot) return true;
  for (let directory = resolve(path); ; directory = dirname(directory)) {
    if (existsSync(directory) && (statSync(directory).mode & 0o001) === 0) return false;
    if (directory === dirname(directory)) return true;
  }
}

/** Where root keeps what the server needs when the checkout lies in a private directory (root's home, say). */
export function rootStateDirectory(): string {
  const standard = join(parse(process.cwd()).root, 'var', 'lib', 'session-management-service');
  return process.env['LOCAL_STATE_DIR'] ?? standard;
}

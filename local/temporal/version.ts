import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The one version that this project is tested with: server 1.32.0, whose time skipping the tests use. */
export const CLI_VERSION = '1.9.1';

/** What `temporal --version` says of itself; undefined if it is no such program or does not run here. */
export async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 20_000 });
    return /^temporal version (\d+\.\d+\.\d+)/m.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

/** Whether it is the pinned version or a newer one. */
export function isRecentEnough(version: string): boolean {
  return version.localeCompare(CLI_VERSION, 'en', { numeric: true }) >= 0;
}

import { readFileSync } from 'node:fs';

/** Resident memory in MiB, from the kernel where it says so (Linux); null elsewhere. */
export function residentMiB(pid: number | undefined): number | null {
  try {
    return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024);
  } catch {
    return null;
  }
}

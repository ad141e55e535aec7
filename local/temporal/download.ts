import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { messageOf } from '../error-code.ts';
import type { Say } from '../say.ts';
import { cacheDirectory, cachedProgram } from './cache.ts';
import { CLI_VERSION, versionOf } from './version.ts';

const ANSWER_WITHIN_MS = 8_000;
const STALLED_AFTER_MS = 30_000;

/** The project's own download service first, then the place where the same archives are published. */
function officialAddresses(): string[] {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const archive = `temporal_cli_${CLI_VERSION}_${platform}_${architecture}.${platform === 'windows' ? 'zip' : 'tar.gz'}`;
  return [
    `https://temporal.download/cli/archive/v${CLI_VERSION}?platform=${platform}&arch=${architecture}`,
    `https://github.com/temporalio/cli/releases/download/v${CLI_VERSION}/${archive}`,
  ];
}

/** Whether the program now lies in the cache, of the right version. Says one line about each address that failed. */
export async function downloadCli(say: Say, signal: AbortSignal, addresses = officialAddresses()): Promise<boolean> {
  for (const address of addresses) {
    const directory = mkdtempSync(join(cacheDirectory(), 'download-'));
    try {
      say(`Fetching the Temporal CLI ${CLI_VERSION} from ${new URL(address).host} …`);
      await fetchInto(directory, address, say, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      say(`  not available there (${reason(error)})`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return false;
}

async function fetchInto(directory: string, address: string, say: Say, signal: AbortSignal): Promise<void> {
  const archive = join(directory, 'archive');
  await fetchFile(address, archive, say, signal);
  // tar is part of Linux, macOS and Windows; those of the last two read zip as well.
  const program = basename(cachedProgram()).endsWith('.exe') ? 'temporal.exe' : 'temporal';
  await promisify(execFile)('tar', ['-xf', archive, '-C', directory, program]);
  const version = await versionOf(join(directory, program));
  if (version !== CLI_VERSION) throw new Error(`what it sent is ${version ?? 'not a program for this machine'}`);
  renameSync(join(directory, program), cachedProgram());
}

async function fetchFile(address: string, file: string, say: Say, signal: AbortSignal): Promise<void> {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(new Error('no answer')), ANSWER_WITHIN_MS);
  const postpone = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new Error('stalled')), STALLED_AFTER_MS);
  };
  try {
    const response = await fetch(address, { signal: AbortSignal.any([abort.signal, signal]) });
    if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
    const total = Number(response.headers.get('content-length'));
    const watched = response.body.pipeThrough(progress(total, say, postpone));
    await pipeline(Readable.fromWeb(watched), createWriteStream(file));
  } finally {
    clearTimeout(timer);
  }
}

/** Passes bytes on, and says at each fifth of them how far it is. */
function progress(total: number, say: Say, onBytes: () => void): TransformStream<Uint8Array, Uint8Array> {
  let received = 0;
  let told = 0;
  return new TransformStream({
    transform(chunk, controller) {
      onBytes();
      received += chunk.length;
      const fifths = Math.floor((received / total) * 5);
      if (fifths > told) say(`  ${fifths * 20} % of ${Math.round(total / 1e6)} MB`);
      told = Math.max(told, fifths || 0);
      controller.enqueue(chunk);
    },
  });
}

/** fetch says "fetch failed" and hides why in the cause. */
function reason(error: unknown): string {
  return error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
}

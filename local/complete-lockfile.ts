import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { say } from './say.ts';

/*
 * Run after every change of dependencies: `node local/run.mjs local/complete-lockfile.ts`.
 *
 * npm drops an optional dependency that the registry in use cannot serve from the lock file without a word (a platform
 * package for macOS on a partial mirror, say), and `npm ci` then refuses that file on every machine: "Missing: … from
 * lock file". This adds what was dropped, with the exact version that its dependent asks for and the platform that its
 * name tells. Such an entry has no integrity hash, for nobody has seen the package.
 */

const entrySchema = z.looseObject({
  version: z.string().optional(),
  dev: z.boolean().optional(),
  optionalDependencies: z.record(z.string(), z.string()).optional(),
  resolved: z.string().optional(),
});
const lockSchema = z.looseObject({ packages: z.record(z.string(), entrySchema) });
type Packages = z.infer<typeof lockSchema>['packages'];

const SYSTEMS = 'aix android darwin freebsd linux netbsd openbsd openharmony sunos win32 windows'.split(' ');
const PROCESSORS = 'arm64 x64 ia32 arm ppc64 riscv64 s390x loong64 mips64el wasm32'.split(' ');

function complete(packages: Packages): string[] {
  const added: string[] = [];
  for (const [path, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (isInstallable(packages, path, name)) continue;
      if (!/^\d/.test(version)) throw new Error(`${name} ${version}, wanted by ${path || 'us'}: not one version`);
      packages[`node_modules/${name}`] = {
        version,
        ...platformOf(name),
        ...(entry.dev && { dev: true }),
        optional: true,
      };
      added.push(`${name} ${version}`);
    }
  }
  return added;
}

/** Looks for a package as Node does: from the dependent's own node_modules up to ours. */
function isInstallable(packages: Packages, from: string, name: string): boolean {
  for (let base = from; ;) {
    if (packages[`${base}${base && '/'}node_modules/${name}`]) return true;
    if (base === '') return false;
    base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')));
  }
}

/** `@scope/thing-linux-x64-musl` → what npm compares with the machine. Unknown parts restrict nothing. */
function platformOf(name: string): { os?: string[]; cpu?: string[]; libc?: string[] } {
  const parts = name.split(/[/-]/);
  const system = parts.find((part) => SYSTEMS.includes(part));
  const processor = parts.find((part) => PROCESSORS.includes(part));
  const libc = parts.some((part) => part.startsWith('musl')) ? 'musl' : parts.includes('gnu') ? 'glibc' : undefined;
  return {
    ...(processor && { cpu: [processor] }),
    ...(libc && system === 'linux' && { libc: [libc] }),
    ...(system && { os: [system === 'windows' ? 'win32' : system] }),
  };
}

const file = process.argv[2] ?? 'package-lock.json';
const lock = lockSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
const added = complete(lock.packages);
// Where a package came from is the reader's own matter: their registry is asked, and the hash decides.
for (const entry of Object.values(lock.packages)) delete entry.resolved;
const sorted = Object.entries(lock.packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
say(added.length === 0 ? `${file} is complete.` : `Added to ${file}:\n  ${added.join('\n  ')}`);

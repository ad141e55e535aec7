import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { environmentSchema } from '../../src/config.ts';

const file = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] ?? '');
const unique = (names: string[]) => [...new Set(names)].toSorted();
const read = Object.keys(environmentSchema.shape);
const compose = file('docker-compose.yml');

it('.env.example lists exactly what config.ts reads, and after it what docker-compose.yml alone needs', () => {
  const [service = '', alone = ''] = file('.env.example').split('# --- docker-compose.yml alone');
  expect(unique(matches(service, /^([A-Z_]+)=/gm))).toEqual(read.toSorted());
  const images = ['TEMPORAL_VERSION', 'TEMPORAL_UI_VERSION'];
  const needed = unique(matches(compose, /(?<!\$)\$\{([A-Z_]+)/g)).filter(
    (name) => !read.includes(name) && !images.includes(name),
  );
  expect(unique(matches(alone, /^([A-Z_]+)=/gm))).toEqual(needed);
});

it('.env.example shows the defaults of config.ts', () => {
  const shown = Object.fromEntries(
    [...file('.env.example').matchAll(/^([A-Z_]+)=(.+)$/gm)].map(([, name, value]) => [name, value]),
  );
  // inside compose Temporal has a name of its own, and the worker's pages are on
  delete shown['TEMPORAL_ADDRESS'];
  delete shown['METRICS_PORT'];
  const defaults = environmentSchema.parse({
    DATABASE_URL: 'postgres://x',
    AUTH_MODULE_URL: 'http://x',
    AUTH_MODULE_TOKEN: 'x',
    JWT_ISSUER: 'x',
    JWT_AUDIENCE: 'x',
    JWKS_URL: 'http://x',
  });
  for (const [name, value] of Object.entries(shown))
    expect(`${defaults[name as keyof typeof defaults] as string | number | boolean}`, name).toBe(value);
});

it('docker-compose.yml hands every variable of the service on, and has no secret in it', () => {
  const handed = matches(compose, /^\s+([A-Z_]+): /gm).concat(matches(compose, /[{,] ([A-Z_]+): /g));
  for (const name of read) expect(handed, name).toContain(name);
  expect(compose).not.toMatch(/(?:PASSWORD|TOKEN|PWD): (?!['"]?\$\{)/);
});

it('the image runs as nobody in particular, with node as its first process', () => {
  const dockerfile = file('Dockerfile');
  expect(dockerfile).toMatch(/^USER node$/m);
  expect(dockerfile).toMatch(/^CMD \["node", /m);
  expect(dockerfile).toMatch(/^ENV NODE_ENV=production$/m);
  for (const [, path = ''] of compose.matchAll(/command: \[node, (src\/[\w./-]+)\]/g))
    expect(() => file(path)).not.toThrow();
});

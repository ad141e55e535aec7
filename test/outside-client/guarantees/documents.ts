import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { endpoints, publicPaths } from '../endpoints.ts';
import type { Service } from '../service.ts';

const Operation = z.looseObject({ responses: z.record(z.string(), z.looseObject({})) });
const OpenApi = z.looseObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.looseObject({ title: z.string().min(1), version: z.string().min(1) }),
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
});
const methods = ['get', 'put', 'post', 'delete', 'patch'];

/** What anybody may read: how the service does, and how to call it. */
export function documents(service: Service): void {
  const get = (path: string, headers?: Record<string, string>) =>
    service.api.send('GET', path, headers ? { headers } : {});

  describe('without a token', () => {
    test.concurrent.each(publicPaths)('%s is answered', async (path) => {
      expect((await get(path)).status).toBe(200);
    });

    test.concurrent('a token that is no good is in nobody’s way there', async () => {
      for (const path of publicPaths) expect((await get(path, { authorization: 'Bearer nonsense' })).status).toBe(200);
    });

    test.concurrent('readiness is told for each dependency', async () => {
      const { text } = await get('/readyz');
      const names = Object.keys(JSON.parse(text) as object).concat(text);
      expect(names.join(' ')).toMatch(/database|postgres/i);
      expect(names.join(' ')).toMatch(/temporal|workflow/i);
    });

    test.concurrent('metrics are in the text format of Prometheus', async () => {
      const { headers, text } = await get('/metrics');
      expect(headers.get('content-type')).toMatch(/^(text\/plain|application\/openmetrics-text)\b/);
      const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
      expect(lines.length).toBeGreaterThan(10);
      for (const line of lines)
        expect(line).toMatch(/^[a-zA-Z_:][\w:]*(\{.*\})? (-?[\d.]+(e[+-]?\d+)?|NaN|[+-]Inf)( \d+)?$/i);
    });
  });

  describe('the OpenAPI document', () => {
    const read = async () => OpenApi.parse(JSON.parse((await get('/openapi.json')).text));

    test.concurrent('is 3.1, and has every endpoint and no other', async () => {
      const { paths } = await read();
      const found = Object.entries(paths)
        .filter(([path]) => path.startsWith('/v1/'))
        .flatMap(([path, item]) => methods.filter((method) => method in item).map((method) => `${method} ${path}`));
      const anonymous = (name: string) => name.replace(/\{\w+\}/g, '{}');
      const wanted = endpoints.map(({ method, template }) => `${method.toLowerCase()} ${template}`);
      expect(found.map(anonymous).toSorted()).toEqual(wanted.map(anonymous).toSorted());
    });

    test.concurrent('tells of each endpoint how it succeeds and how it refuses', async () => {
      const { paths } = await read();
      for (const [path, item] of Object.entries(paths).filter(([one]) => one.startsWith('/v1/')))
        for (const method of methods.filter((one) => one in item)) {
          const statuses = Object.keys(Operation.parse(item[method]).responses);
          expect(
            statuses.some((status) => status.startsWith('2')),
            `${method} ${path}: ${statuses.join()}`,
          ).toBe(true);
          expect(statuses, `${method} ${path}`).toEqual(expect.arrayContaining(['401', '403']));
        }
    });

    test.concurrent('refers to nothing that it does not hold', async () => {
      const { text } = await get('/openapi.json');
      const whole = JSON.parse(text) as Record<string, unknown>;
      const references = [...text.matchAll(/"\$ref":\s*"([^"]+)"/g)].map(([, reference]) => reference!);
      expect(references.length).toBeGreaterThan(0);
      for (const reference of new Set(references)) {
        expect(reference).toMatch(/^#\//);
        const found = reference
          .slice(2)
          .split('/')
          .reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], whole);
        expect(found, reference).toBeDefined();
      }
    });
  });

  describe('the reference page', () => {
    test.concurrent('is a page, and loads nothing from elsewhere', async () => {
      const page = await get('/docs');
      expect(page.headers.get('content-type')).toMatch(/^text\/html\b/);
      const loaded = [...page.text.matchAll(/(?:src|href)\s*=\s*["']([^"']+)["']/gi)].map(([, address]) => address!);
      expect(loaded.length).toBeGreaterThan(0);
      for (const address of loaded.filter((one) => !one.startsWith('data:') && !one.startsWith('#'))) {
        const url = new URL(address, `${service.api.url}/docs`);
        expect(url.origin, address).toBe(new URL(service.api.url).origin);
        const part = await get(url.pathname);
        expect(part.status, address).toBe(200);
        if (url.pathname.endsWith('.css')) expect(part.text).not.toMatch(/(@import|url\()\s*["']?(https?:)?\/\//);
      }
      expect(page.text).not.toMatch(/(@import|url\(|import\(|fetch\()\s*["']?(https?:)?\/\//);
      // and the browser is told so, whatever a script might try
      const policy = page.headers.get('content-security-policy') ?? '';
      for (const source of policy.split(/[\s;]+/)) expect(source).not.toMatch(/^(https?:|\*)/);
    });
  });
}

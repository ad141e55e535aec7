import { readFile } from 'node:fs/promises';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from '../api-env.ts';
import { nameRoute } from '../endpoint.ts';
import { openApiDocument } from '../openapi.ts';

const ours = (name: string): URL => new URL(`../documentation/${name}`, import.meta.url);
const swaggerUi = (name: string): URL => new URL(import.meta.resolve(`swagger-ui-dist/${name}`));

/** Everything that the reference page loads. */
const files = {
  '/docs': { url: ours('index.html'), type: 'text/html; charset=utf-8' },
  '/docs/initializer.js': { url: ours('initializer.js'), type: 'text/javascript; charset=utf-8' },
  '/docs/swagger-ui-bundle.js': { url: swaggerUi('swagger-ui-bundle.js'), type: 'text/javascript; charset=utf-8' },
  '/docs/swagger-ui.css': { url: swaggerUi('swagger-ui.css'), type: 'text/css; charset=utf-8' },
  '/docs/favicon-32x32.png': { url: swaggerUi('favicon-32x32.png'), type: 'image/png' },
};

/** Nothing from elsewhere, no inline script; Swagger UI draws its icons from data URLs and sets inline styles. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** The OpenAPI document and the reference page, with nothing loaded from elsewhere. Registered last: it documents the others. */
export function registerDocumentation(app: OpenAPIHono<ApiEnv>): void {
  let document: string | undefined;
  app.get('/openapi.json', nameRoute('/openapi.json'), (c) => {
    document ??= JSON.stringify(openApiDocument(app));
    return c.body(document, 200, { 'Content-Type': 'application/json' });
  });
  for (const [path, { url, type }] of Object.entries(files)) {
    let content: Promise<Buffer<ArrayBuffer>> | undefined;
    app.get(path, nameRoute(path), async (c) => {
      content ??= readFile(url);
      return c.body(await content, 200, {
        'Content-Type': type,
        'Content-Security-Policy': contentSecurityPolicy,
        'Cache-Control': 'public, max-age=300',
      });
    });
  }
}

import { html } from 'hono/html';

export type Html = ReturnType<typeof html>;

/** Every page of this module: one heading, readable on any screen, nothing loaded from elsewhere, no script. */
export async function page(title: string, content: Html): Promise<string> {
  const document = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          body {
            font:
              1rem/1.5 system-ui,
              sans-serif;
            max-width: 28rem;
            margin: 3rem auto;
            padding: 0 1rem;
            color: #1b1b1f;
            background: #fff;
          }
          h1 {
            font-size: 1.5rem;
            margin: 0 0 1rem;
          }
          label {
            display: block;
            margin-top: 1rem;
            font-weight: 600;
          }
          input {
            box-sizing: border-box;
            width: 100%;
            font: inherit;
            padding: 0.5rem;
            border: 1px solid #6b6b76;
            border-radius: 4px;
          }
          button {
            font: inherit;
            font-weight: 600;
            margin-top: 1.5rem;
            padding: 0.6rem 1.2rem;
            border: 0;
            border-radius: 4px;
            color: #fff;
            background: #1f4fbf;
          }
          button.plain {
            color: #1f4fbf;
            background: #fff;
            box-shadow: inset 0 0 0 1px;
          }
          :focus-visible {
            outline: 3px solid #e08a00;
            outline-offset: 2px;
          }
          small {
            display: block;
            color: #55555f;
          }
          [role='alert'] {
            padding: 0.75rem 1rem;
            border-left: 4px solid #b3261e;
            background: #fdeceb;
          }
          .note {
            padding: 0.75rem 1rem;
            border-left: 4px solid #1f4fbf;
            background: #eef2fc;
          }
        </style>
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${content}
        </main>
      </body>
    </html> `;
  return String(document);
}

/** Pages are not framed, cached, or allowed to run anything. */
export const pageHeaders: Record<string, string> = {
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Stack } from '../harness/stack.ts';

export interface Reader {
  status: number;
  headers: IncomingMessage['headers'];
  /** Everything that has come so far. */
  readonly text: string;
  /** Resolves when the stream is over, with how it ended. */
  closed: Promise<'whole' | 'broken'>;
  leave(): void;
}

/** A reader that takes what comes, as it comes. */
export async function openReader(
  { url }: Pick<Stack, 'url'>,
  path: string,
  token: string,
  headers: Record<string, string> = {},
): Promise<Reader> {
  const sent: ClientRequest = request(`${url}${path}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  sent.on('error', () => undefined).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  response
    .setEncoding('utf8')
    .on('data', (part: string) => (text += part))
    .on('error', () => undefined);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    get text() {
      return text;
    },
    closed: new Promise((resolve) => response.once('close', () => resolve(response.complete ? 'whole' : 'broken'))),
    leave: () => sent.destroy(),
  };
}

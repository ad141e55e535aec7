import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

export interface Question {
  method: 'GET' | 'POST' | 'PATCH';
  token: string;
  headers?: Record<string, string>;
  body?: string;
}

/**
 * One call on a kept-alive connection; resolves with the body of a 2xx answer, throws for any other. (`fetch` spends more
 * CPU on a call than the service does, on the cores that both share.)
 */
export function ask(url: string, { method, token, headers = {}, body }: Question): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const json =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const call = request(
    url,
    { agent, method, headers: { authorization: `Bearer ${token}`, ...json, ...headers } },
    (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (answer.statusCode !== undefined && answer.statusCode < 300) resolve(text);
        else reject(new Error(`${answer.statusCode} ${text}`));
      });
    },
  );
  call.on('error', reject);
  call.end(body);
  return promise;
}

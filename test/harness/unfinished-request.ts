import { connect } from 'node:net';
import { eventually } from './client.ts';
import type { Stack } from './stack.ts';

export interface UnfinishedRequest {
  /** Sends the last byte of the body; resolves with the answer. */
  finish(): Promise<{ status: number; body: Record<string, unknown> }>;
}

/**
 * Sends a request but for the last byte of its body, and resolves once the service has judged the caller: from then on
 * only the body is missing. `path` is the whole path.
 */
export async function beginRequest(
  stack: Pick<Stack, 'url' | 'database'>,
  method: string,
  path: string,
  { token, body, headers = {} }: { token: string; body: unknown; headers?: Record<string, string> },
): Promise<UnfinishedRequest> {
  const bytes = Buffer.from(JSON.stringify(body));
  const { hostname, port } = new URL(stack.url);
  const before = await lastJudgement(stack);
  const socket = connect(Number(port), hostname);
  let answer = '';
  const ended = new Promise<void>((done, fail) => {
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.once('end', done).once('error', fail);
  });
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    `authorization: Bearer ${token}`,
    'content-type: application/json',
    `content-length: ${bytes.length}`,
    'connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  socket.write(bytes.subarray(0, -1));
  await eventually(
    () => lastJudgement(stack),
    (at) => at !== null && at !== before,
  );
  return {
    async finish() {
      socket.write(bytes.subarray(-1));
      await ended;
      const [head = '', text = ''] = answer.split(/\r\n\r\n([\s\S]*)/);
      return { status: Number(head.split(' ')[1]), body: JSON.parse(text) as Record<string, unknown> };
    },
  };
}

/** When the service last answered the question who a caller is now; null: never, or it is answering. */
async function lastJudgement({ database }: Pick<Stack, 'database'>): Promise<string | null> {
  const [last] = await database.query<{ at: string | null }>(
    `select max(state_change)::text as at from pg_stat_activity
     where datname = current_database() and query like '/* caller facts */%' and state like 'idle%'`,
  );
  return last?.at ?? null;
}

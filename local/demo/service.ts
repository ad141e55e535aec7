import type { Answer, Narrator } from './narrator.ts';

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  token: string;
  body?: unknown;
  expected: readonly number[];
}

/** Calls the Session Management Service and shows it. */
export type CallService = (call: Call) => Promise<Answer>;

export function createCallService(apiUrl: string, narrator: Narrator): CallService {
  return async ({ method, path, token, body, expected }) => {
    const response = await fetch(`${apiUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
    return narrator.shown(`${method} ${path}${body === undefined ? '' : ` ${JSON.stringify(body)}`}`, answer, expected);
  };
}

import { expect } from 'vitest';
import type { z } from 'zod';
import { Problem, ValidationProblem } from './shapes.ts';

export interface Request {
  /** The bearer token. */
  as?: string | undefined;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body, if the answer has this status and exactly this shape; else the test fails and says why. */
  as<Shape extends z.ZodType>(status: number, shape: Shape): z.infer<Shape>;
  /** The problem document, if the call was refused with this status and code. */
  refused<Shape extends z.ZodType = typeof Problem>(status: number, code: string, shape?: Shape): z.infer<Shape>;
  /** Refused as 422 with errors that point at these places. */
  invalid(...pointers: string[]): void;
}

export interface Client {
  url: string;
  send(method: string, path: string, request?: Request): Promise<Answer>;
}

/** Calls a service, and holds every single answer to the conventions. */
export function createClient(url: string): Client {
  return {
    url,
    async send(method, path, { as, body, headers } = {}) {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(as === undefined ? {} : { authorization: `Bearer ${as}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        redirect: 'manual',
        signal: AbortSignal.timeout(45_000),
      });
      return readAnswer(`${method} ${path}`, response, await response.text());
    },
  };
}

export function readAnswer(call: string, { status, headers }: Response, text: string): Answer {
  const about = `${call} → ${status} ${text.slice(0, 2_000)}`;
  expect(headers.get('x-request-id'), about).toMatch(/^.+$/);
  // a token is three parts of base64, the first of which is an object
  if (call.includes(' /v1/')) expect(withoutProofs(text), about).not.toMatch(/eyJ[\w-]{10,}\./);
  const refused = <Shape extends z.ZodType = typeof Problem>(wanted: number, code: string, shape?: Shape) => {
    expect(status, about).toBe(wanted);
    expect(headers.get('content-type'), about).toMatch(/^application\/problem\+json\b/);
    const document = JSON.parse(text) as unknown;
    expect(document, about).toMatchObject({ status: wanted, code, requestId: headers.get('x-request-id') });
    return (shape ?? Problem).parse(document) as z.infer<Shape>;
  };
  return {
    status,
    headers,
    text,
    refused,
    as(wanted, shape) {
      expect(status, about).toBe(wanted);
      expect(headers.get('content-type'), about).toMatch(/^application\/json\b/);
      const read = shape.safeParse(JSON.parse(text));
      expect(read.error?.issues ?? [], about).toEqual([]);
      return read.data!;
    },
    invalid(...pointers) {
      const { errors } = refused(422, 'validation-failed', ValidationProblem);
      expect(
        errors.map(({ pointer }) => pointer),
        about,
      ).toEqual(expect.arrayContaining(pointers));
    },
  };
}

/** What is signed to prove the audit has that form too, and says in its header that it is nothing else. */
function withoutProofs(text: string): string {
  return text.replaceAll(/"jws":"(eyJ[\w-]+)\.[\w-]+\.[\w-]+"/g, (whole, header: string) => {
    const { typ } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { typ?: string };
    return typ === 'audit-head' || typ === 'termination-receipt' ? '' : whole;
  });
}

import { isUtf8 } from 'node:buffer';
import type { MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import { type FieldError, notFound, ServiceError } from '../errors.ts';
import type { ApiEnv } from './api-env.ts';
import { isOpaqueId, isUuid } from '../rules/identifier.ts';
import { pathParameters } from './path-parameters.ts';

type Step = MiddlewareHandler<ApiEnv>;

/** Decodes the path's ids. One of the wrong form is answered as one that does not exist. */
export function readPath(pattern: string): Step {
  const parametersOf = pathParameters(pattern);
  return async function readPathIds(c, next) {
    const ids: Record<string, string> = {};
    for (const [name, value] of Object.entries(parametersOf(c.req.url))) {
      if (value === null || !(name === 'id' ? isUuid(value) : isOpaqueId(value))) throw notFound();
      ids[name] = value;
    }
    c.set('pathIds', ids);
    c.req.addValidatedData('param', ids);
    await next();
  };
}

/** Validates the query; a parameter that is unknown, repeated or bad is refused. */
export function readQuery(schema: z.ZodType): Step {
  return async function readQueryParameters(c, next) {
    c.req.addValidatedData('query', validate(schema, uniqueParameters(c.req.url), '?'));
    await next();
  };
}

function uniqueParameters(url: string): Record<string, string> {
  const start = url.indexOf('?');
  if (start === -1) return {};
  const found = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(url.slice(start))) {
    if (found.has(name)) throw refused([{ pointer: `?${name}`, message: 'must be given once' }]);
    found.set(name, value);
  }
  return Object.fromEntries(found);
}

/**
 * Reads the body's bytes, as many as its declared length allows. A body without a declared length is refused, so that
 * nothing is read that would be refused later; Node's parser holds the sender to the length. One that has not arrived
 * within the time is refused too, and its connection is closed.
 */
export function readBody(maxBytes: number, withinMs: number): Step {
  return async function readBodyBytes(c, next) {
    if (c.req.header('transfer-encoding') !== undefined)
      throw new ServiceError('length-required', 'Send the body with a Content-Length.');
    const tooLarge = () => new ServiceError('payload-too-large', `The body must be at most ${maxBytes} bytes.`);
    if (Number(c.req.header('content-length') ?? 0) > maxBytes) throw tooLarge();
    const bytes = new Uint8Array(await inTime(c.req.arrayBuffer().catch(endedEarly), withinMs));
    if (bytes.length > maxBytes) throw tooLarge();
    if (bytes.length > 0) requireJson(c.req.header('content-type'), c.req.header('content-encoding'));
    c.set('bodyBytes', bytes);
    await next();
  };
}

const jsonMediaType = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i;

function requireJson(contentType: string | undefined, contentEncoding: string | undefined): void {
  if (contentEncoding !== undefined && contentEncoding !== 'identity')
    throw new ServiceError('unsupported-media-type', 'Send the body without a content encoding.');
  if (!jsonMediaType.test(contentType ?? ''))
    throw new ServiceError('unsupported-media-type', 'Send the body as application/json, in UTF-8.');
}

const endedEarly = (): never => {
  throw new ServiceError('malformed-request', 'The body ended early.');
};

/** The body, or the refusal of one that takes too long; what still comes of it is not read. */
async function inTime(body: Promise<ArrayBuffer>, withinMs: number): Promise<ArrayBuffer> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooSlow(withinMs)), withinMs);
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}

const tooSlow = (withinMs: number) =>
  new ServiceError('request-timeout', `The body must arrive within ${withinMs / 1_000} s.`, {
    headers: { Connection: 'close' },
  });

/** Parses and validates the body; an empty one is an empty object, so that what it lacks is named. */
export function validateBody(schema: z.ZodType): Step {
  return async function validateJsonBody(c, next) {
    const bytes = c.get('bodyBytes');
    c.req.addValidatedData('json', validate(schema, bytes.length === 0 ? {} : parseJson(bytes), '/'));
    await next();
  };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    if (isUtf8(bytes)) return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // the parser's own words quote the body
  }
  throw new ServiceError('malformed-request', 'The body is not valid JSON in UTF-8.');
}

/** What the schema, which is always one of an object, makes of the input. */
function validate(schema: z.ZodType, input: unknown, prefix: '/' | '?'): object {
  const parsed = schema.safeParse(input);
  if (parsed.success) return Object(parsed.data);
  throw refused(parsed.error.issues.flatMap((issue) => fieldErrors(issue, prefix)));
}

function fieldErrors(issue: z.core.$ZodIssue, prefix: '/' | '?'): FieldError[] {
  const pointer = (path: PropertyKey[]) => (path.length === 0 ? '' : prefix + path.map(escapePointer).join('/'));
  if (issue.code !== 'unrecognized_keys') return [{ pointer: pointer(issue.path), message: issue.message }];
  return issue.keys.map((key) => ({ pointer: pointer([...issue.path, key]), message: 'is not known here' }));
}

/** RFC 6901 §3. */
const escapePointer = (token: PropertyKey): string => String(token).replaceAll('~', '~0').replaceAll('/', '~1');

const refused = (errors: FieldError[]) =>
  new ServiceError('validation-failed', 'The request has fields that cannot be accepted.', { errors });

import { afterAll, beforeAll, expect } from 'vitest';
import { z } from 'zod';
import { answerListeners, call, type SeenAnswer } from '../harness/client.ts';
import type { Stack } from '../harness/stack.ts';

interface MediaType {
  schema: Record<string, unknown>;
}
interface Declared {
  content?: Record<string, MediaType>;
  headers?: Record<string, unknown>;
}
export interface OpenApiDocument {
  openapi: string;
  paths: Record<
    string,
    Record<string, { operationId: string; security?: unknown; responses: Record<string, Declared> }>
  >;
  components: { schemas: Record<string, unknown> };
}

export const readDocument = async (stack: Pick<Stack, 'url'>): Promise<OpenApiDocument> =>
  (await call<OpenApiDocument>(stack, 'GET', '/openapi.json')).body;

/** After the file's last test: each answer that `call` got had a status, a media type, headers and a body that the document declares. */
export function expectAnswersDeclared(stack: Stack): { readonly judged: number } {
  const undeclared = new Set<string>();
  const counted = { judged: 0 };
  let listener: (seen: SeenAnswer) => void;
  beforeAll(async () => {
    const judge = createJudge(await readDocument(stack));
    listener = (seen) => {
      if (seen.url !== stack.url) return;
      const { operation, complaint } = judge(seen);
      if (operation !== undefined) counted.judged += 1;
      if (complaint !== undefined) undeclared.add(`${operation} ${seen.answer.status}: ${complaint}`);
    };
    answerListeners.add(listener);
  });
  afterAll(() => {
    answerListeners.delete(listener);
    expect([...undeclared]).toEqual([]);
  });
  return counted;
}

interface Judgement {
  operation?: string;
  complaint?: string | undefined;
}

function createJudge({ paths, components }: OpenApiDocument): (seen: SeenAnswer) => Judgement {
  const known = Object.entries(paths).map(([path, methods]) => ({
    matches: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    methods,
  }));
  const schemas = createSchemas(components.schemas);
  return ({ method, path, answer }) => {
    const operations = known.find(({ matches }) => matches.test(path.split('?', 1)[0] ?? ''))?.methods;
    const operation = operations?.[method === 'HEAD' ? 'get' : method.toLowerCase()];
    // what no route matches has no place in the document
    if (operation === undefined) return {};
    return {
      operation: operation.operationId,
      complaint: complaintOf(operation.responses[answer.status], method, answer, schemas),
    };
  };
}

function complaintOf(
  declared: Declared | undefined,
  method: string,
  answer: SeenAnswer['answer'],
  schemas: (media: MediaType) => z.ZodType,
): string | undefined {
  if (declared === undefined) return 'the status is not declared';
  const missing = [
    'location',
    'retry-after',
    'etag',
    'www-authenticate',
    'idempotent-replayed',
    'preference-applied',
    'x-request-id',
  ].filter(
    (name) =>
      answer.headers.has(name) && !Object.keys(declared.headers ?? {}).some((each) => each.toLowerCase() === name),
  );
  if (missing.length > 0 && answer.headers.get('content-type')?.startsWith('application') === true)
    return `not declared: ${missing.join(', ')}`;
  if (method === 'HEAD') return undefined;
  const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? '';
  const media = declared.content?.[type];
  if (media === undefined) return `${type} is not declared`;
  if (!type.endsWith('json') || type.endsWith('ndjson')) return undefined;
  const parsed = schemas(media).safeParse(answer.body);
  return parsed.success ? undefined : `${parsed.error.message} in ${answer.text}`;
}

function createSchemas(components: Record<string, unknown>): (media: MediaType) => z.ZodType {
  const $defs = exact(components);
  const made = new Map<MediaType, z.ZodType>();
  return (media) => {
    const schema = made.get(media) ?? z.fromJSONSchema({ ...(exact(media.schema) as object), $defs } as never);
    made.set(media, schema);
    return schema;
  };
}

/** The same schemas in the place where JSON Schema has them, and closed: a field that the document does not name is a fault. */
function exact(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(exact);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' ? String(value).replace('#/components/schemas/', '#/$defs/') : exact(value),
    ]),
  );
  const isObject =
    copy['type'] === 'object' && typeof copy['properties'] === 'object' && copy['additionalProperties'] === undefined;
  return isObject ? { ...copy, additionalProperties: false } : copy;
}

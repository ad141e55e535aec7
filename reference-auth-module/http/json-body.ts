import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { z } from 'zod';

/** The body as the schema wants it, or 400 that names what is wrong. */
export async function jsonBody<T extends z.ZodType>(c: Context, schema: T): Promise<z.infer<T>> {
  const body: unknown = await c.req.json().catch(() => {
    throw badRequest('the body is not JSON');
  });
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw badRequest(z.prettifyError(parsed.error));
  return parsed.data;
}

export function badRequest(message: string): HTTPException {
  return new HTTPException(400, { message });
}

/** An id as the Session Management Service takes it: opaque, 1–255 printable characters. */
export const Id = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u);

import { z } from 'zod';
import { Problem } from '../problem.ts';

const port = (otherwise: number) => z.coerce.number().int().min(1).max(65_535).default(otherwise);
const optional = z.string().min(1).optional();

/** Every variable that `npm start` reads. Those of the service itself are passed on to it as they are. */
const environmentSchema = z
  .object({
    PORT: port(3000),
    POSTGRES_PORT: port(5433),
    TEMPORAL_PORT: port(7233),
    TEMPORAL_UI_PORT: port(8233),
    REFERENCE_AUTH_MODULE_PORT: port(4000),
    TEMPORAL_NAMESPACE: z.string().min(1).default('default'),
    JWT_AUDIENCE: z.string().min(1).default('session-management-service'),
    DATABASE_URL: optional,
    TEMPORAL_ADDRESS: optional,
    AUTH_MODULE_URL: optional,
    AUTH_MODULE_TOKEN: optional,
    REFERENCE_AUTH_MODULE_DATABASE_URL: optional,
  })
  .refine((e) => !e.AUTH_MODULE_URL || e.AUTH_MODULE_TOKEN, {
    path: ['AUTH_MODULE_TOKEN'],
    message: 'is required with AUTH_MODULE_URL: what that Auth Module knows this service by',
  });

export type Settings = z.infer<typeof environmentSchema>;

/** An empty variable counts as absent. Refuses with every problem at once. */
export function readSettings(environment: NodeJS.ProcessEnv = process.env): Settings {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(present);
  if (parsed.success) return parsed.data;
  throw new Problem(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'));
}

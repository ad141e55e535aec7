import { z } from 'zod';
import { readConnection } from './database/connection-settings.ts';
import { connectionVariables } from './database/connection-string.ts';
import { isOpaqueId } from './rules/identifier.ts';
import { temporalProblems, temporalVariables } from './temporal-connection.ts';
import {
  issuerProblems,
  issuerProblemsIn,
  issuerVariables,
  trustedIssuers,
  vendorOrganizations,
} from './trusted-issuers.ts';
import { auditKeyVariables } from './signing/audit-keys.ts';
import { tracingSettings, tracingVariables } from './tracing/settings.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const url = z.url({ protocol: /^https?$/ });
/** Origins as a browser sends them: a scheme, a host and, where it is not the scheme's own, a port. */
const origins = z
  .string()
  .default('')
  .transform((text) => (text.trim() === '' ? [] : text.split(',').map((origin) => origin.trim())))
  .refine(
    (all) => all.every(isOrigin),
    'must be exact origins, separated by commas: https://admin.example.com, no path, no *',
  );

const isOrigin = (text: string): boolean =>
  /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
/** Ids, comma-separated. */
const organizations = z
  .string()
  .transform((list) => list.split(',').map((id) => id.trim()))
  .refine((ids) => ids.every(isOpaqueId), 'must be ids of organizations, comma-separated');

/** Every variable this service reads, apart from the Temporal SDK's own (TLS, API key). */
export const environmentSchema = z.object({
  PORT: port.default(3000),
  HOST: z.string().min(1).default('0.0.0.0'),
  DATABASE_URL: z.string().min(1),
  DATABASE_POOL_SIZE: integer(2, 200).default(10),
  DATABASE_POOLED: z.enum(['0', '1']).default('0'),
  DATABASE_LISTEN_URL: z.string().min(1).optional(),
  TEMPORAL_ADDRESS: z.string().min(1).default('localhost:7233'),
  TEMPORAL_NAMESPACE: z.string().min(1).default('default'),
  TEMPORAL_TASK_QUEUE: z.string().min(1).default('session-management'),
  AUTH_MODULE_URL: url,
  AUTH_MODULE_TOKEN: z.string().min(1),
  AUTH_MODULE_TIMEOUT_MS: integer(100, 120_000).default(5_000),
  AUTH_MODULE_CONCURRENCY: integer(1, 1_000).default(16),
  ...issuerVariables,
  VENDOR_ORGANIZATIONS: organizations.default([]),
  ACCESS_TOKEN_TTL_SECONDS: integer(1, 86_400).default(300),
  VERIFY_AFTER_SECONDS: integer(1, 86_400).default(60),
  GRANT_MIN_SECONDS: integer(1, 31_536_000).default(300),
  GRANT_MAX_SECONDS: integer(1, 7_776_000).default(2_592_000),
  SESSION_RETENTION_DAYS: integer(1, 3_650).default(90),
  WRITES_PER_MINUTE: integer(0, 1_000_000).default(600),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  METRICS_PORT: port.optional(),
  CORS_ALLOWED_ORIGINS: origins,
  SHUTDOWN_GRACE_SECONDS: integer(1, 600).default(20),
  ...auditKeyVariables,
  ...tracingVariables,
});

export type Environment = z.infer<typeof environmentSchema>;

/** The parsed configuration, frozen. Durations carry their unit in the name. */
export type Config = Readonly<ReturnType<typeof shape>>;

const shape = (e: Environment, environment: NodeJS.ProcessEnv) => ({
  http: { port: e.PORT, host: e.HOST },
  database: {
    url: e.DATABASE_URL,
    poolSize: e.DATABASE_POOL_SIZE,
    isPooled: e.DATABASE_POOLED === '1',
    listenUrl: e.DATABASE_LISTEN_URL,
    environment: connectionVariables(environment),
  },
  temporal: {
    address: e.TEMPORAL_ADDRESS,
    namespace: e.TEMPORAL_NAMESPACE,
    taskQueue: e.TEMPORAL_TASK_QUEUE,
    environment: temporalVariables(environment),
  },
  authModule: {
    url: e.AUTH_MODULE_URL,
    token: e.AUTH_MODULE_TOKEN,
    timeoutMs: e.AUTH_MODULE_TIMEOUT_MS,
    concurrency: e.AUTH_MODULE_CONCURRENCY,
  },
  issuers: trustedIssuers(e),
  clockToleranceSeconds: e.JWT_CLOCK_TOLERANCE_SECONDS,
  /** Where the vendor's staff sign in: their sessions there may be parents of support sessions anywhere. */
  vendorOrganizations: [...new Set([...e.VENDOR_ORGANIZATIONS, ...vendorOrganizations(trustedIssuers(e))])],
  accessTokenTtlSeconds: e.ACCESS_TOKEN_TTL_SECONDS,
  verifyAfterSeconds: e.VERIFY_AFTER_SECONDS,
  grants: { minSeconds: e.GRANT_MIN_SECONDS, maxSeconds: e.GRANT_MAX_SECONDS },
  sessionRetentionDays: e.SESSION_RETENTION_DAYS,
  writesPerMinute: e.WRITES_PER_MINUTE,
  logLevel: e.LOG_LEVEL,
  metricsPort: e.METRICS_PORT,
  corsAllowedOrigins: e.CORS_ALLOWED_ORIGINS,
  shutdownGraceSeconds: e.SHUTDOWN_GRACE_SECONDS,
  audit: { signingKey: e.AUDIT_SIGNING_KEY, publicKeys: e.AUDIT_PUBLIC_KEYS ?? [] },
  tracing: tracingSettings(e),
});

/** Every problem of the environment at once, one line each. */
export class ConfigError extends Error {
  constructor(problems: string[]) {
    super(
      `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:\n${problems.map((p) => `  ${p}`).join('\n')}`,
    );
    this.name = 'ConfigError';
  }
}

/** Reads the environment once; an empty variable counts as absent. Throws `ConfigError` with every problem. */
export const loadConfig = (environment: NodeJS.ProcessEnv = process.env): Config =>
  deepFreeze(shape(parse(environmentSchema, environment, problemsTogether, connectionProblems), environment));

const tokenVariables = z.object(issuerVariables);

/** The part that says how tokens are judged, for who has no more than that. Throws `ConfigError`. */
export function loadTokenConfig(environment: NodeJS.ProcessEnv = process.env) {
  const e = parse(tokenVariables, environment, issuerProblems);
  return { issuers: trustedIssuers(e), clockToleranceSeconds: e.JWT_CLOCK_TOLERANCE_SECONDS };
}

function problemsTogether(e: Environment): string[] {
  const bounds =
    e.GRANT_MIN_SECONDS > e.GRANT_MAX_SECONDS ? ['GRANT_MIN_SECONDS: must not exceed GRANT_MAX_SECONDS'] : [];
  return [...issuerProblems(e), ...bounds];
}

/** `check` looks at what could be parsed, `ofEach` at what is there whatever else is wrong. */
function parse<T>(
  schema: z.ZodType<T>,
  environment: NodeJS.ProcessEnv,
  check: (parsed: T) => string[],
  ofEach: (present: NodeJS.ProcessEnv) => string[] = () => [],
): T {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(present);
  const problems = parsed.success
    ? check(parsed.data)
    : [
        ...parsed.error.issues.map(
          (issue) =>
            `${issue.path.join('.')}: ${Object.hasOwn(present, String(issue.path[0])) ? issue.message : 'is required'}`,
        ),
        ...issuerProblemsIn(present),
      ];
  problems.push(...ofEach(present));
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  return parsed.data;
}

/** How the database and Temporal are reached is judged before anybody tries. */
const connectionProblems = (present: NodeJS.ProcessEnv): string[] => [
  ...['DATABASE_URL', 'DATABASE_LISTEN_URL'].flatMap((name) => {
    const address = present[name];
    return address === undefined
      ? []
      : readConnection(address, present).problems.map((problem) => `${name}: ${problem}`);
  }),
  ...temporalProblems(present),
];

function deepFreeze<T extends object>(value: T): T {
  const inners: unknown[] = Object.values(value);
  for (const inner of inners) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}

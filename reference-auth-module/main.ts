import { once } from 'node:events';
import { z } from 'zod';
import { errorFields, type Log } from './log.ts';
import { startReferenceAuthModule } from './server.ts';

const Environment = z.object({
  REFERENCE_AUTH_MODULE_PORT: z.coerce.number().int().min(0).max(65_535).default(4000),
  REFERENCE_AUTH_MODULE_DATABASE_URL: z.string().min(1),
  SESSION_SERVICE_URL: z.url(),
  AUTH_MODULE_TOKEN: z.string().min(1),
  JWT_AUDIENCE: z.string().min(1),
  ACCESS_TOKEN_TTL_SECONDS: z.coerce.number().int().min(1).default(300),
});

const log: Log = (message, fields = {}) => {
  process.stdout.write(
    `${JSON.stringify({ time: new Date().toISOString(), name: 'reference-auth-module', message, ...fields })}\n`,
  );
};

const environment = Environment.safeParse(process.env);
if (!environment.success) {
  process.stderr.write(`${z.prettifyError(environment.error)}\n`);
  process.exit(1);
}
const env = environment.data;
const authModule = await startReferenceAuthModule({
  port: env.REFERENCE_AUTH_MODULE_PORT,
  databaseUrl: env.REFERENCE_AUTH_MODULE_DATABASE_URL,
  sessionServiceUrl: env.SESSION_SERVICE_URL,
  authModuleToken: env.AUTH_MODULE_TOKEN,
  audience: env.JWT_AUDIENCE,
  accessTokenTtlSeconds: env.ACCESS_TOKEN_TTL_SECONDS,
  log,
}).catch((error: unknown) => {
  log('did not start', errorFields(error));
  process.exit(1);
});
log('serving', { url: authModule.url });

await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
await authModule.stop();
log('stopped');

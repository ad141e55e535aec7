import { getRequestListener } from '@hono/node-server';
import { Pool } from 'pg';
import { createClock } from './clock.ts';
import { seedDirectory } from './directory.ts';
import { startHousekeeping } from './housekeeping.ts';
import { createApp, ownPaths } from './http/app.ts';
import { listen } from './http/listen.ts';
import { loadKeys } from './keys.ts';
import { errorFields, type Log } from './log.ts';
import { createProvider } from './oidc/provider.ts';
import { createTables } from './schema.ts';
import { createAccessTokenSigner, createMachineTokens, createOwnToken } from './session-events/machine-token.ts';
import { startOutbox } from './session-events/outbox.ts';
import { createSessionService } from './session-events/session-service.ts';
import { createDemoSignIns } from './sign-in/demo-sign-ins.ts';
import { createDemoTokens } from './sign-in/demo-tokens.ts';
import { createOpenSessions } from './sign-in/open-sessions.ts';
import { createOpenSupportSession } from './sign-in/open-support-session.ts';
import { createSignInAtForm } from './sign-in/sign-in-at-form.ts';

export interface ReferenceAuthModuleOptions {
  /** 0: any free one. */
  port: number;
  host?: string;
  /** A database of its own; its tables are made in it. */
  databaseUrl: string;
  sessionServiceUrl: string;
  /** What callers of `/refresh-chains/*` and `/demo/*` must present. */
  authModuleToken: string;
  /** `aud` of every access token. */
  audience: string;
  accessTokenTtlSeconds?: number;
  /** How far its clock is ahead of the machine's; negative: behind. */
  clockOffsetMs?: number;
  log?: Log;
}

export interface ReferenceAuthModule {
  /** Its address, and the issuer of its tokens. */
  url: string;
  /** Finishes what is under way. What was not yet delivered is delivered after the next start. */
  stop(): Promise<void>;
}

/** Starts the reference Auth Module; resolves when it serves. Several may run in one process, each on its own database. */
export async function startReferenceAuthModule(options: ReferenceAuthModuleOptions): Promise<ReferenceAuthModule> {
  const { log = () => {}, audience, accessTokenTtlSeconds = 300 } = options;
  const pool = new Pool({
    connectionString: options.databaseUrl,
    max: 16,
    application_name: 'reference-auth-module',
  });
  // an idle connection that breaks is replaced at the next query; without a listener it would end the process
  pool.on('error', (error) => log('database connection lost', errorFields(error)));
  const { keys, listening } = await prepare(pool, options).catch(async (error: unknown) => {
    await pool.end();
    throw error;
  });

  const issuer = listening.url;
  const clock = createClock(options.clockOffsetMs ?? 0);
  const sign = await createAccessTokenSigner(keys, issuer, audience);
  const mint = createMachineTokens(sign);
  const tokens = {
    ingest: createOwnToken(mint, 'sessions:ingest'),
    check: createOwnToken(mint, 'support-access:check'),
  };
  const service = createSessionService({ url: options.sessionServiceUrl, clock, tokens });
  const provider = createProvider(issuer, { pool, clock, keys, audience, accessTokenTtlSeconds, log });

  const outbox = startOutbox({ pool, service, log });
  const housekeeping = startHousekeeping({ pool, clock, log });
  const openSessions = createOpenSessions({ pool, clock, service, log });
  const openSupportSession = createOpenSupportSession({ service, openSessions, log });
  const app = createApp({
    pool,
    provider,
    log,
    authModuleToken: options.authModuleToken,
    signInAtForm: createSignInAtForm({ pool, clock, openSessions, openSupportSession }),
    signIns: createDemoSignIns({ pool, clock, provider, openSessions, outbox }),
    tokens: createDemoTokens({
      pool,
      provider,
      openSessions,
      openSupportSession,
      outbox,
      sign,
      mint,
      accessTokenTtlSeconds,
    }),
  });

  const ours = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const theirs = provider.callback();
  listening.serve((request, response) => void (ownPaths.test(request.url ?? '') ? ours : theirs)(request, response));
  return {
    url: issuer,
    async stop() {
      await listening.close(5000);
      await Promise.all([outbox.stop(), housekeeping.stop()]);
      await pool.end();
    },
  };
}

async function prepare(pool: Pool, { port, host = '127.0.0.1' }: ReferenceAuthModuleOptions) {
  await createTables(pool);
  await seedDirectory(pool);
  return { keys: await loadKeys(pool), listening: await listen(port, host) };
}

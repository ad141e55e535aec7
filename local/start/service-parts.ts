import { nodeProcess } from './node-process.ts';
import { readFrom } from './log-file.ts';
import type { Part } from './part.ts';
import { logFile } from '../paths.ts';
import type { Settings } from './settings.ts';

/** What the processes are told about each other. */
export interface Wiring {
  databaseUrl: string;
  temporalAddress: string;
  authModuleToken: string;
  /** As `AUDIT_SIGNING_KEY`. */
  auditSigningKey: string;
  /** Of the reference Auth Module; undefined where another one is configured. */
  authModuleDatabaseUrl: string | undefined;
}

export const apiUrl = ({ PORT }: Settings): string => `http://127.0.0.1:${PORT}`;

export function authModuleUrl(settings: Settings): string {
  return settings.AUTH_MODULE_URL ?? `http://127.0.0.1:${settings.REFERENCE_AUTH_MODULE_PORT}`;
}

/** The environment of the API and the worker. What is set outside wins, as for every variable of theirs. */
export function serviceEnvironment(settings: Settings, wiring: Wiring): Record<string, string> {
  const authModule = authModuleUrl(settings);
  return {
    PORT: String(settings.PORT),
    HOST: process.env['HOST'] || '127.0.0.1',
    DATABASE_URL: wiring.databaseUrl,
    TEMPORAL_ADDRESS: wiring.temporalAddress,
    TEMPORAL_NAMESPACE: settings.TEMPORAL_NAMESPACE,
    AUTH_MODULE_URL: authModule,
    AUTH_MODULE_TOKEN: wiring.authModuleToken,
    JWT_ISSUER: process.env['JWT_ISSUER'] || authModule,
    JWT_AUDIENCE: settings.JWT_AUDIENCE,
    JWKS_URL: process.env['JWKS_URL'] || `${authModule}/jwks`,
    AUDIT_SIGNING_KEY: process.env['AUDIT_SIGNING_KEY'] || wiring.auditSigningKey,
    ...(settings.AUTH_MODULE_URL === undefined && accessTokens()),
  };
}

/** Of the reference Auth Module: short, so that what is ended is verified, and has its receipt, within a minute or so. */
const accessTokens = () => ({ ACCESS_TOKEN_TTL_SECONDS: process.env['ACCESS_TOKEN_TTL_SECONDS'] || '60' });

export function apiPart(settings: Settings, environment: Record<string, string>): Part {
  const isReady = () => answersOk(`${apiUrl(settings)}/readyz`);
  return nodeProcess({ name: 'api', title: 'the API', file: 'src/api.ts', environment, isReady, graceMs: graceMs() });
}

export function workerPart(environment: Record<string, string>): Part {
  const isReady = workerIsReady;
  return nodeProcess({
    name: 'worker',
    title: 'the worker',
    file: 'src/worker.ts',
    environment,
    isReady,
    graceMs: graceMs(),
  });
}

/** It serves no port; the line is its promise that it takes work from now on. */
async function workerIsReady(logStart: number): Promise<boolean> {
  return readFrom(logFile('worker'), logStart).includes('"msg":"worker ready"');
}

export function authModulePart(settings: Settings, wiring: Wiring): Part {
  return nodeProcess({
    name: 'auth-module',
    title: 'the Auth Module',
    file: 'reference-auth-module/main.ts',
    environment: {
      REFERENCE_AUTH_MODULE_PORT: String(settings.REFERENCE_AUTH_MODULE_PORT),
      REFERENCE_AUTH_MODULE_DATABASE_URL: wiring.authModuleDatabaseUrl ?? '',
      SESSION_SERVICE_URL: apiUrl(settings),
      AUTH_MODULE_TOKEN: wiring.authModuleToken,
      JWT_AUDIENCE: settings.JWT_AUDIENCE,
      ...accessTokens(),
    },
    isReady: () => answersOk(`${authModuleUrl(settings)}/healthz`),
    graceMs: 10_000,
  });
}

/** A little longer than the service gives itself. */
function graceMs(): number {
  return (Number(process.env['SHUTDOWN_GRACE_SECONDS']) || 20) * 1_000 + 5_000;
}

async function answersOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.body?.cancel();
  return response.ok;
}

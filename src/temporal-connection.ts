import tls from 'node:tls';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { codeOf } from './error-code.ts';

type Loaded = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];

/** The variables that the Temporal SDK itself reads, and where it looks for its file; an empty one counts as absent. */
export const temporalVariables = (environment: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      /^TEMPORAL_|^(HOME|XDG_CONFIG_HOME|APPDATA)$/.test(name) && value ? [[name, value]] : [],
    ),
  );

export interface TemporalAddress {
  address: string;
  /** As `temporalVariables` gives them. */
  environment: Readonly<Record<string, string>>;
}

/** How Temporal is reached: the same for the client, which is JavaScript, and the worker, which is not. */
export function temporalConnection({ address, environment }: TemporalAddress): Loaded & { address: string } {
  const { connectionOptions } = loadClientConnectConfig({ overrideEnvVars: { ...environment } });
  return { ...connectionOptions, tls: withAuthorities(connectionOptions.tls), address };
}

/**
 * Without an authority of its own each half would trust another set, and NODE_EXTRA_CA_CERTS would reach the JavaScript
 * one alone: so both are handed those of Node and those of this machine.
 */
function withAuthorities(said: Loaded['tls']): Loaded['tls'] {
  if (said === undefined || said === null || said === false) return said;
  const own = said === true ? {} : said;
  if (own.serverRootCACertificate) return own;
  const known = new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')]);
  return { ...own, serverRootCACertificate: Buffer.from([...known].join('\n')) };
}

/** What the SDK would ignore or only meet later, said at start. One line each, without a value. */
export function temporalProblems(environment: NodeJS.ProcessEnv): string[] {
  const variables = temporalVariables(environment);
  const has = (name: string) => ['PATH', 'DATA'].some((source) => `TEMPORAL_TLS_${name}_${source}` in variables);
  const problems: string[] = [];
  if ('TEMPORAL_TLS_DISABLE_HOST_VERIFICATION' in variables)
    problems.push('TEMPORAL_TLS_DISABLE_HOST_VERIFICATION: is not supported; say TEMPORAL_TLS_SERVER_NAME');
  if (!/^(|0|1|true|false)$/.test(variables['TEMPORAL_TLS'] ?? ''))
    problems.push('TEMPORAL_TLS: must be true or false');
  if (has('CLIENT_CERT') !== has('CLIENT_KEY'))
    problems.push('TEMPORAL_TLS_CLIENT_CERT_*, TEMPORAL_TLS_CLIENT_KEY_*: one needs the other');
  try {
    temporalConnection({ address: '', environment: variables });
  } catch (error) {
    problems.push(`TEMPORAL_*: the SDK's configuration cannot be read (${codeOf(error)})`);
  }
  return problems;
}

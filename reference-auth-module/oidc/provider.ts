import { Provider } from 'oidc-provider';
import { errorFields, type Log } from '../log.ts';
import { createConfiguration, type ProviderOptions } from './configuration.ts';

/** The OpenID provider proper. Its own faults go to the log, never to the caller. */
export function createProvider(issuer: string, options: ProviderOptions & { log: Log }): Provider {
  const provider = new Provider(issuer, createConfiguration(options));
  provider.on('server_error', (_ctx, error) => options.log('provider error', errorFields(error)));
  return provider;
}

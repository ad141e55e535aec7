import type { Logger } from 'pino';
import type { Config } from './config.ts';

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether what goes to this address can be read and changed on the way. */
export function isPlainHttp(address: string): boolean {
  const url = URL.parse(address);
  return url?.protocol === 'http:' && !loopback.test(url.hostname);
}

/** One line at the start where an issuer, a key set or the Auth Module is reached without TLS beyond this machine. */
export function warnOfPlainHttp({ authModule, issuers }: Pick<Config, 'authModule' | 'issuers'>, logger: Logger): void {
  const addresses = [authModule.url, ...issuers.flatMap(({ issuer, jwksUrl }) => [issuer, jwksUrl ?? issuer])];
  const plain = [...new Set(addresses.filter(isPlainHttp).map((address) => new URL(address).origin))];
  if (plain.length === 0) return;
  logger.warn(
    { origins: plain },
    'reached by plain http: whoever is on the way can read the Auth Module’s token, or hand out signing keys of their own',
  );
}

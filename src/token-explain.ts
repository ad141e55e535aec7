/** `npm run token:explain`: reads a token from standard input and says how this configuration judges it. Exit 1 where it is refused. */
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { explainToken } from './api/explain-token.ts';
import { createSigningKeys } from './api/signing-keys.ts';
import { ConfigError, loadTokenConfig } from './config.ts';

async function main(): Promise<number> {
  const { issuers, clockToleranceSeconds } = loadTokenConfig();
  const logger = pino({ level: 'warn' }, pino.destination(2));
  const keyed = issuers.map((issuer) => ({ issuer, keys: createSigningKeys(issuer, logger).key }));
  const token = (await text(process.stdin)).trim().replace(/^(?:authorization: *)?bearer +/i, '');
  const explanation = await explainToken(token, { issuers: keyed, clockToleranceSeconds, nowMs: Date.now() });
  const width = Math.max(...explanation.lines.map(([what]) => what.length));
  for (const [what, found] of explanation.lines) process.stdout.write(`${what.padEnd(width)}  ${found}\n`);
  return explanation.accepted ? 0 : 1;
}

if (import.meta.main) {
  process.exitCode = await main().catch((error: unknown) => {
    const isOurs = error instanceof ConfigError;
    process.stderr.write(`${isOurs ? error.message : error instanceof Error ? error.name : 'unknown'}\n`);
    return 2;
  });
}

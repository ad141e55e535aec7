import { z } from 'zod';

const MAX_BYTES = 1_000_000;
const discoveryDocument = z.object({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });

/**
 * Where an issuer says that its keys are (OpenID Connect Discovery §4). A document that names another issuer is refused,
 * as §4.3 has it: its keys would count for this one.
 */
export async function discoverKeySet(issuer: string, timeoutMs: number): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw discoveryError(`the discovery document was answered with ${response.status}`);
  }
  const text = await response.text();
  if (text.length > MAX_BYTES) throw discoveryError('the discovery document is too long');
  const { success, data } = discoveryDocument.safeParse(parseJson(text));
  if (!success) throw discoveryError('the discovery document names no issuer or no key set');
  if (data.issuer !== issuer) throw discoveryError('the discovery document names another issuer');
  return data.jwks_uri;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const discoveryError = (message: string) => Object.assign(new Error(message), { code: 'DISCOVERY_FAILED' });

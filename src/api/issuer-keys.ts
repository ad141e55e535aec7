import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TrustedIssuer } from '../trusted-issuers.ts';
import { createSigningKeys, type SigningKeys } from './signing-keys.ts';
import type { KeyedIssuer } from './token-verifier.ts';

/** Between two looks at keys that no caller has asked for, so that their age says how the issuer is, not how idle we are. */
const LOOK_EVERY_MS = 300_000;

/** However long an issuer takes: whoever asks for readiness waits no longer. */
const ANSWER_WITHIN_MS = 1_000;

/** `partial`: only issuers of one customer's organization have not been reached, and nobody else waits for them. */
export interface KeysState {
  status: 'up' | 'partial' | 'down';
  /** Codes of what the attempts failed with. */
  detail?: string;
}

export interface IssuerKeys {
  keyed: readonly KeyedIssuer[];
  /** Whether each issuer's keys have been fetched once; asks those whose were not. Never rejects. */
  state(): Promise<KeysState>;
  /** Seconds since each issuer's keys were fetched, or since the start where they never were. */
  ages: () => { issuer: string; ageSeconds: number }[];
  stop(): void;
}

interface Known {
  issuer: TrustedIssuer;
  signingKeys: SigningKeys;
}

/** A set of keys for each issuer, apart from all others', kept fresh from now on. */
export function createIssuerKeys(issuers: readonly TrustedIssuer[], logger: Logger): IssuerKeys {
  const startedAt = performance.now();
  const known = issuers.map((issuer): Known => ({ issuer, signingKeys: createSigningKeys(issuer, logger) }));
  const refreshAll = async (some: readonly Known[]) => {
    await Promise.all(some.map(({ signingKeys }) => signingKeys.refresh()));
  };
  const timer = setInterval(() => void refreshAll(known), LOOK_EVERY_MS);
  timer.unref();
  void refreshAll(known);
  return {
    keyed: known.map(({ issuer, signingKeys }) => ({ issuer, keys: signingKeys.key })),
    async state() {
      await Promise.race([refreshAll(known.filter(isMissing)), delay(ANSWER_WITHIN_MS, undefined, { ref: false })]);
      return stateOf(known);
    },
    ages: () =>
      known.map(({ issuer, signingKeys }) => ({
        issuer: issuer.issuer,
        ageSeconds: signingKeys.ageSeconds() ?? (performance.now() - startedAt) / 1_000,
      })),
    stop: () => clearInterval(timer),
  };
}

const isMissing = ({ signingKeys }: Known): boolean => signingKeys.ageSeconds() === null;

/** A customer who runs their own issuer can switch it off; that must not take this service out of everybody's reach. */
const isOneCustomers = ({ issuer }: Known): boolean => issuer.organization !== null && !issuer.maySupport;

function stateOf(known: readonly Known[]): KeysState {
  const missing = known.filter(isMissing);
  if (missing.length === 0) return { status: 'up' };
  const detail = [...new Set(missing.map(({ signingKeys }) => signingKeys.failure() ?? 'pending'))].join(' ');
  const isPartial = missing.length < known.length && missing.every(isOneCustomers);
  return { status: isPartial ? 'partial' : 'down', detail };
}

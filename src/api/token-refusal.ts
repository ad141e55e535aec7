/** Why a token does not count. The log says it, `token:explain` says it; the answer never does. (RFC 6750 §3.1) */
export const refusalWords = {
  malformed: 'it is no signed JWT',
  'issuer-unknown': 'its issuer is not trusted',
  algorithm: 'its algorithm is not accepted',
  type: 'it was made for another purpose',
  'key-unknown': 'its key is not among those of its issuer',
  signature: 'its signature is not of the key that it names',
  audience: 'none of its audiences is the one configured for its issuer',
  expired: 'it has expired',
  'not-yet-valid': 'it is not valid yet: the clocks differ by more than JWT_CLOCK_TOLERANCE_SECONDS',
  'claim-missing': 'a claim is missing',
  'claim-malformed': 'a claim has a form that it cannot have',
  'claim-contradicts': 'a claim contradicts the entry of its issuer',
} as const;

export type RefusalReason = keyof typeof refusalWords;

/** A token that does not count. Holds nothing of the token but its issuer. */
export class TokenRefusal extends Error {
  readonly reason: RefusalReason;
  /** The claim that is at fault, where it is one. */
  readonly claim: string | undefined;
  /** As the token names it; of one that nobody trusts it is what its sender wrote. */
  issuer: string | undefined;

  constructor(reason: RefusalReason, claim?: string) {
    super(claim === undefined ? refusalWords[reason] : `${refusalWords[reason]} (${claim})`);
    this.name = 'TokenRefusal';
    this.reason = reason;
    this.claim = claim;
  }
}

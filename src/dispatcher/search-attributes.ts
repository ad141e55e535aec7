import { createHash } from 'node:crypto';
import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common';
import { searchAttributeNames } from '../workflows/messages.ts';

/** What operators filter by in the Temporal UI. */
export const organizationKey = defineSearchAttributeKey(
  searchAttributeNames.organizationId,
  SearchAttributeType.KEYWORD,
);
export const scopeKey = defineSearchAttributeKey(searchAttributeNames.scope, SearchAttributeType.KEYWORD);

/** What a keyword may hold where Temporal's visibility is in PostgreSQL or MySQL; a longer one fails after the start was accepted. */
const LONGEST = 255;
const HASH_LENGTH = 32;

/** A value as it is; of a longer one the beginning, by which operators find it, and a hash, by which no two are the same. */
export function keyword(value: string): string {
  const characters = Array.from(value);
  if (characters.length <= LONGEST) return value;
  const hash = createHash('sha256').update(value).digest('hex').slice(0, HASH_LENGTH);
  return `${characters.slice(0, LONGEST - HASH_LENGTH - 1).join('')}~${hash}`;
}

/** What a workflow of this organization and, for a termination or grant, of this scope is filed under. */
export const attributesOf = ({
  organizationId,
  scope,
}: {
  organizationId: string;
  scope?: string;
}): SearchAttributePair[] => [
  { key: organizationKey, value: keyword(organizationId) },
  ...(scope === undefined ? [] : [{ key: scopeKey, value: keyword(scope) }]),
];

import type { Connection } from '@temporalio/client';
import { SearchAttributeType } from '@temporalio/common';
import type { Logger } from 'pino';
import { searchAttributeNames } from '../workflows/messages.ts';

const KEYWORD = 2; // temporal.api.enums.v1.IndexedValueType
const ALREADY_EXISTS = 6; // gRPC status code

/** Registers the search attributes that operators filter by. Idempotent; a Temporal that does not allow it is told once, and everything else works. */
export async function createSearchAttributes(connection: Connection, namespace: string, logger: Logger): Promise<void> {
  const searchAttributes = Object.fromEntries(Object.values(searchAttributeNames).map((name) => [name, KEYWORD]));
  try {
    await connection.withDeadline(Date.now() + 5_000, () =>
      connection.operatorService.addSearchAttributes({ namespace, searchAttributes }),
    );
  } catch (error) {
    if (typeof error === 'object' && error !== null && 'code' in error && error.code === ALREADY_EXISTS) return;
    logger.warn(
      { type: SearchAttributeType.KEYWORD, names: Object.keys(searchAttributes) },
      'search attributes could not be created; filtering in the Temporal UI will lack them',
    );
  }
}

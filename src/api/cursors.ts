import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../errors.ts';
import type { PagePosition } from '../service/index.ts';

/** What a cursor belongs to: it is of no use in another list, for another organization, or with other filters. */
export interface CursorScope {
  list: string;
  organizationId: string;
  filters?: Record<string, string | undefined>;
}

export interface Cursors {
  /** The opaque cursor of the next page; null at the end. */
  write(next: PagePosition | null, scope: CursorScope): Promise<string | null>;
  /** The position of a cursor made for this very scope; null where none was sent. Throws `invalid-cursor` for any other. */
  read(cursor: string | undefined, scope: CursorScope): Promise<PagePosition | null>;
}

const MAC_BYTES = 18;

/** Cursors signed with a key that all processes share, so that nobody can make one that asks for what was not offered. */
export function createCursors(loadKey: () => Promise<Buffer>): Cursors {
  let loading: Promise<KeyObject> | undefined;
  const key = () => {
    // made once: from bytes it would be made anew at every signature, for six times the price
    loading ??= loadKey().then(createSecretKey, (error: unknown) => {
      loading = undefined; // the next request tries again
      throw error;
    });
    return loading;
  };
  return {
    async write(next, scope) {
      if (next === null) return null;
      const position = Buffer.from(JSON.stringify([next.at, next.id]));
      return Buffer.concat([sign(await key(), position, scope), position]).toString('base64url');
    },
    async read(cursor, scope) {
      if (cursor === undefined) return null;
      const bytes = Buffer.from(cursor, 'base64url');
      const position = bytes.subarray(MAC_BYTES);
      if (bytes.toString('base64url') !== cursor || position.length === 0) throw invalid();
      if (!timingSafeEqual(bytes.subarray(0, MAC_BYTES), sign(await key(), position, scope))) throw invalid();
      const [at, id]: [string | null, string] = JSON.parse(position.toString());
      return { at, id };
    },
  };
}

function sign(key: KeyObject, position: Buffer, { list, organizationId, filters = {} }: CursorScope): Buffer {
  const sorted = Object.entries(filters)
    .filter(([, value]) => value !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  const scope = JSON.stringify([list, organizationId, sorted]);
  return createHmac('sha256', key).update(scope).update('\0').update(position).digest().subarray(0, MAC_BYTES);
}

const invalid = () => new ServiceError('invalid-cursor', 'The cursor is not one of this list with these filters.');

import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { giveToServer } from '../../local/postgres/account.ts';
import { eventually } from '../harness/client.ts';
import { useOwnPostgres } from '../harness/own-postgres.ts';
import { type Stack, useStack } from '../harness/stack.ts';
import { asks, mayBeTriedAgain, outcomeOf } from './trouble.ts';

let files = '';
const own = useOwnPostgres({
  settings: (directory) => {
    files = directory;
    return Promise.resolve({});
  },
});
let databaseUrl = '';
const stack: Stack = useStack({
  worker: false,
  environment: async () => {
    const environment = await own.environment();
    databaseUrl = environment.DATABASE_URL;
    return environment;
  },
});
let service: ReturnType<typeof asks>;
const admin = async (...statements: string[]) => {
  const url = new URL(databaseUrl);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
};
const served = async () => {
  expect((await service.list()).status).toBe(200);
  expect((await service.check()).status).toBe(200);
};

beforeAll(async () => {
  service = asks(stack);
  expect((await service.ingest()).status).toBe(200);
});

describe('a database that can only be read', () => {
  const become = (setting: 'on' | 'off') =>
    admin(`alter system set default_transaction_read_only = ${setting}`, 'select pg_reload_conf()');
  afterAll(() => become('off'));

  it('refuses every write as what passes, serves every read, is said, and is used again at once', async () => {
    await become('on');
    await eventually(service.end, ({ status }) => status === 503);
    for (let n = 0; n < 5; n += 1) {
      const writes = await Promise.all([service.end(), service.ingest(), service.end()]);
      expect(writes.map(outcomeOf)).toEqual(writes.map(() => mayBeTriedAgain));
      await served();
    }
    const unready = await eventually(service.ready, ({ status }) => status === 503);
    expect(unready.body).toMatchObject({ status: 'read-only', database: { status: 'down', detail: 'read-only' } });
    expect(await service.failures('read-only')).toBeGreaterThan(0);
    await become('off');
    await eventually(service.end, ({ status }) => status === 202 || status === 200, 5_000);
    await eventually(service.ready, ({ body }) => body.status !== 'read-only');
  });
});

describe('a table that is locked', () => {
  it('fails what asks for it after two seconds, as what passes, and nothing once it is free', async () => {
    const holder = new pg.Client({ connectionString: databaseUrl });
    await holder.connect();
    await holder.query('begin; alter table sessions add column held int');
    for (const ask of [service.list, service.end, service.ingest]) {
      const startedAt = performance.now();
      expect(outcomeOf(await ask())).toEqual(mayBeTriedAgain);
      expect(performance.now() - startedAt).toBeLessThan(4_000);
    }
    expect(await service.failures('locked')).toBeGreaterThan(0);
    await holder.query('rollback');
    await holder.end();
    await served();
    expect((await service.ingest()).status).toBe(200);
  });
});

const canMount = ((): boolean => {
  if (process.getuid?.() !== 0 || process.platform !== 'linux') return false;
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', '/mnt'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
})();
if (!canMount) process.stdout.write('skipped: a full disk, for no file system may be mounted here\n');

describe.skipIf(!canMount)('a disk that is full', () => {
  const mount = () => join(files, 'small');
  const filler = () => join(mount(), 'filler');

  beforeAll(async () => {
    mkdirSync(mount());
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', mount()]);
    const directory = join(mount(), 'tablespace');
    mkdirSync(directory);
    giveToServer(directory);
    const name = new URL(databaseUrl).pathname.slice(1);
    await admin(`create tablespace small location '${directory}'`);
    // the service's connections are in the way, and are made again
    await eventually(
      () =>
        admin(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`,
          `alter database ${name} set tablespace small`,
        ).then(
          () => true,
          () => false,
        ),
      Boolean,
    );
  });
  afterAll(async () => {
    await own.kill9();
    execFileSync('umount', [mount()]);
  });

  it('refuses what needs room as what passes, serves every read, and takes writes again as soon as there is room', async () => {
    await eventually(service.ingest, ({ status }) => status === 200, 5_000);
    fill(filler());
    const answers = [];
    for (let n = 0; n < 60; n += 1) answers.push(outcomeOf(await service.ingest()));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(10);
    expect(refused).toEqual(refused.map(() => mayBeTriedAgain));
    await served();
    expect(await service.failures('full')).toBeGreaterThan(0);
    rmSync(filler());
    await eventually(service.ingest, ({ status }) => status === 200, 5_000);
  });
});

/** Leaves not a page of room. */
function fill(file: string): void {
  const handle = openSync(file, 'w');
  try {
    for (;;) writeSync(handle, Buffer.alloc(4_096));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  } finally {
    closeSync(handle);
  }
}

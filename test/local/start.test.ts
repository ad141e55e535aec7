import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, ensurePostgres } from '../../local/embedded-postgres.ts';
import { openDatabase } from '../../src/database.ts';
import { eventually } from '../harness/client.ts';
import { type Checkout, makeCheckout, portVariables } from './checkout.ts';

/** What the first release had; later migrations are the upgrade's. */
const RELEASED = 'Migration20261126000003_states_of_one_user';

describe.skipIf(process.platform !== 'linux')('npm start', () => {
  let checkout: Checkout;
  beforeAll(async () => {
    checkout = await makeCheckout();
  });
  afterAll(async () => {
    await checkout.killAll();
    checkout.remove();
  });
  const ready = async () =>
    fetch(`http://127.0.0.1:${checkout.environment['PORT']}/readyz`).then(({ status }) => status);

  it.each(portVariables)(
    'says in one line that %s is taken, names it, and leaves nothing behind',
    { timeout: 120_000 },
    async (variable) => {
      const port = Number(checkout.environment[variable]);
      const squatter = createServer().listen(port, '127.0.0.1');
      await once(squatter, 'listening');
      const run = checkout.start();
      expect(await run.ended).toBe(1);
      const told = run
        .said()
        .split('\n')
        .filter((line) => line.includes('is taken'));
      expect(told, run.said()).toHaveLength(1);
      expect(told[0]).toContain(`Port ${port} is taken`);
      expect(told[0]).toContain(`${variable}=`);
      expect(run.said()).not.toMatch(/\n {4}at /);
      squatter.close();
      await once(squatter, 'close');
    },
  );

  it(
    'goes on with the data of the version before, of a killed start and of a killed system',
    { timeout: 300_000 },
    async () => {
      await plantReleasedData(checkout);
      const first = checkout.start();
      await eventually(
        () => Promise.resolve(first.said()),
        (said) => said.includes('a worker and the API'),
        120_000,
      );
      await checkout.killAll();
      const second = checkout.start();
      await second.ready();
      expect(await ready()).toBe(200);
      expect(await organizations(checkout)).toContain('of-the-version-before');
      await checkout.killAll();
      const third = checkout.start();
      await third.ready();
      await third.kill9();
      const fourth = checkout.start();
      await fourth.ready();
      expect(await ready()).toBe(200);
      expect(await organizations(checkout)).toContain('of-the-version-before');
      expect(await fourth.stop()).toBe(0);
    },
  );
});

const postgresOf = ({ directory, environment }: Checkout) =>
  ensurePostgres({ dataDir: join(directory, '.data/postgres'), port: Number(environment['POSTGRES_PORT']) });

async function plantReleasedData(checkout: Checkout): Promise<void> {
  const postgres = await postgresOf(checkout);
  const url = await createDatabase(postgres.url, 'session_management');
  const database = await openDatabase({ url, applicationName: 'released', statementTimeoutMs: 0 });
  await database.orm.migrator.up({ to: RELEASED });
  await database.orm.em.getConnection().execute(`insert into organizations (id) values ('of-the-version-before')`);
  await database.close();
  await postgres.stop();
}

async function organizations(checkout: Checkout): Promise<string[]> {
  const postgres = await postgresOf(checkout);
  const database = await openDatabase({
    url: await createDatabase(postgres.url, 'session_management'),
    applicationName: 'looking',
  });
  const found = await database.orm.em.getConnection().execute<{ id: string }[]>('select id from organizations');
  await database.close();
  await postgres.stop();
  return found.map(({ id }) => id);
}

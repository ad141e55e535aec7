import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll } from 'vitest';
import { giveToServer } from '../../local/postgres/account.ts';
import { createAuthority } from '../harness/certificates.ts';
import { type OwnPostgres, useOwnPostgres } from '../harness/own-postgres.ts';

export interface TlsPostgres {
  server: OwnPostgres;
  /** The address of its migrated database, by this host name and with these parameters. */
  url(host: string, parameters?: Record<string, string>, user?: string): string;
  /** Certificate files: of the authority that signed the server's, of another, and of the client `certified`. */
  files: { authority: string; otherAuthority: string; certificate: string; key: string };
}

/** One user may not come unencrypted, and one comes by a certificate alone. */
const rules = `hostssl all certified all cert
hostnossl all encrypted all reject
host all all all scram-sha-256
`;

/** A PostgreSQL of this file's own with TLS, whose certificate is for `localhost` and for no address. */
export function useTlsPostgres(): TlsPostgres {
  const tls = { files: {} } as TlsPostgres;
  const server = useOwnPostgres({
    async settings(directory) {
      const [authority, other] = [await createAuthority('ours'), await createAuthority('another')];
      const own = await authority.issue({ names: ['localhost'], commonName: 'localhost' });
      const client = await authority.issue({ commonName: 'certified' });
      const write = (name: string, text: string) => {
        const file = join(directory, name);
        writeFileSync(file, text, { mode: 0o600 });
        giveToServer(file);
        return file;
      };
      tls.files = {
        authority: write('authority.crt', authority.certificate),
        otherAuthority: write('other.crt', other.certificate),
        certificate: write('client.crt', client.certificate),
        key: write('client.key', client.key),
      };
      return {
        ssl: 'on',
        ssl_cert_file: write('server.crt', own.certificate),
        ssl_key_file: write('server.key', own.key),
        ssl_ca_file: tls.files.authority,
        hba_file: write('pg_hba.conf', rules),
        log_connections: 'on',
      };
    },
  });
  beforeAll(async () => {
    const { DATABASE_URL } = await server.environment();
    tls.url = (host, parameters = {}, user) => {
      const url = new URL(DATABASE_URL);
      url.hostname = host;
      if (user !== undefined) url.username = user;
      url.search = new URLSearchParams(parameters).toString();
      return url.href;
    };
  });
  tls.server = server;
  return tls;
}

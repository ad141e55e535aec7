import { z } from 'zod';
import { type Parameters, readConnectionString } from './connection-string.ts';
import { type TlsFiles, tlsProblems } from './tls.ts';

export interface Host {
  /** A name, an address, or the directory of a Unix socket. */
  name: string;
  port: number;
}

/** All that is said of a database's connections; each connection of the service is made of one of these. */
export interface ConnectionSettings {
  hosts: readonly Host[];
  user: string | undefined;
  password: string | undefined;
  database: string | undefined;
  /** What the operator calls the connections; undefined: each process by its own name. */
  applicationName: string | undefined;
  options: string;
  sslmode: SslMode;
  /** Nobody said how the connection is protected. */
  isSslmodeDefault: boolean;
  tls: TlsFiles;
  isDirectTls: boolean;
  target: 'any' | 'read-write' | 'primary' | undefined;
  connectTimeoutMs: number | undefined;
  keepAlive: boolean;
  keepAliveInitialDelayMs: number;
}

/** libpq's, and `no-verify` of node-postgres: encrypted, whoever the server is. */
export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify'] as const;
export type SslMode = (typeof sslModes)[number];

const text = z.string().min(1);
const seconds = z.coerce.number().int().min(0).max(86_400);
const only = (...accepted: [string, ...string[]]) =>
  z.enum(accepted, { error: `only ${accepted.join(' or ')} is supported` }).optional();
const tlsVersion = z.enum(['TLSv1.2', 'TLSv1.3']);

/** Every parameter that is understood. What stands at `only` says what is done anyway. */
const schema = z.strictObject(
  {
    host: text.default('localhost'),
    port: text.default('5432'),
    dbname: text.optional(),
    user: text.optional(),
    password: text.optional(),
    application_name: text.optional(),
    fallback_application_name: text.optional(),
    options: text.default(''),
    sslmode: z.enum(sslModes).optional(),
    ssl: z.literal('true', { error: 'say sslmode' }).optional(),
    sslnegotiation: z.enum(['postgres', 'direct']).default('postgres'),
    sslrootcert: text.optional(),
    sslcert: text.optional(),
    sslkey: text.optional(),
    sslpassword: text.optional(),
    sslcrl: text.optional(),
    ssl_min_protocol_version: tlsVersion.optional(),
    ssl_max_protocol_version: tlsVersion.optional(),
    connect_timeout: seconds.optional(),
    keepalives: z.enum(['0', '1']).default('1'),
    keepalives_idle: seconds.default(0),
    target_session_attrs: z
      .enum(['any', 'read-write', 'primary'], {
        error: 'must be any, read-write or primary: this service writes',
      })
      .optional(),
    client_encoding: only('UTF8', 'utf8', 'auto'),
    gssencmode: only('disable', 'prefer'),
    channel_binding: only('disable', 'prefer'),
    load_balance_hosts: only('disable'),
    uselibpqcompat: only('true'),
  },
  {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `${issue.keys.join(', ')}: is not understood by this service` : undefined,
  },
);
type Said = z.infer<typeof schema>;

export interface ConnectionReading {
  settings: ConnectionSettings | undefined;
  /** One line each, without a value of what was read. */
  problems: string[];
}

/** Makes settings of an address and libpq's variables, or says all that is wrong with them. Nothing is ignored. */
export function readConnection(url: string, environment: NodeJS.ProcessEnv): ConnectionReading {
  const parameters = readConnectionString(url, environment);
  if (parameters === undefined)
    return { settings: undefined, problems: ['must be postgres://user:password@host:port/database'] };
  const parsed = schema.safeParse(parameters);
  if (!parsed.success) return { settings: undefined, problems: parsed.error.issues.map(describeIssue) };
  const settings = settingsOf(parsed.data, parameters, environment);
  const problems = [...hostProblems(parsed.data), ...tlsProblems(settings)];
  return { settings: problems.length > 0 ? undefined : settings, problems };
}

const describeIssue = ({ path, message }: z.core.$ZodIssue) =>
  path.length === 0 ? message : `${path.join('.')}: ${message}`;

const lists = ({ host, port }: Said) => ({ hosts: host.split(','), ports: port.split(',') });

function hostProblems(said: Said): string[] {
  const { hosts, ports } = lists(said);
  const isPort = (port: string) => port === '' || (/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535);
  return [
    ...(hosts.every(Boolean) ? [] : ['host: one of the hosts has no name']),
    ...(ports.every(isPort) ? [] : ['port: must be 1 to 65535']),
    ...(ports.length === 1 || ports.length === hosts.length ? [] : ['port: there must be one, or one for each host']),
  ];
}

function settingsOf(said: Said, parameters: Parameters, environment: NodeJS.ProcessEnv): ConnectionSettings {
  const { hosts, ports } = lists(said);
  // libpq: who trusts the system's authorities, which sign for anybody, must look at the name
  const unsaid = said.sslrootcert === 'system' ? 'verify-full' : 'prefer';
  return {
    hosts: hosts.map((name, at) => ({ name, port: Number((ports.length === 1 ? ports[0] : ports[at]) || '5432') })),
    user: said.user,
    password: said.password,
    database: said.dbname,
    applicationName: said.application_name ?? said.fallback_application_name,
    options: said.options,
    sslmode: said.sslmode ?? (said.ssl === undefined ? unsaid : 'require'),
    isSslmodeDefault: parameters['sslmode'] === undefined && said.ssl === undefined && unsaid === 'prefer',
    tls: {
      rootCertificate: said.sslrootcert,
      certificate: said.sslcert,
      key: said.sslkey,
      passphrase: said.sslpassword,
      revocations: said.sslcrl,
      minVersion: said.ssl_min_protocol_version,
      maxVersion: said.ssl_max_protocol_version,
      home: environment['HOME'],
    },
    isDirectTls: said.sslnegotiation === 'direct',
    target: said.target_session_attrs,
    // 0 is libpq's "for ever", which no connection of a service waits
    connectTimeoutMs: said.connect_timeout ? said.connect_timeout * 1_000 : undefined,
    keepAlive: said.keepalives === '1',
    keepAliveInitialDelayMs: said.keepalives_idle * 1_000,
  };
}

/** A Unix socket's directory, which libpq knows by its first character. */
export const isSocket = (host: Host): boolean => host.name.startsWith('/');

const isLocal = (host: Host): boolean =>
  isSocket(host) || host.name === 'localhost' || host.name === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host.name);

/** What is allowed and hardly meant, for one line in the log. */
export function connectionWarning({ isSslmodeDefault, hosts }: ConnectionSettings): string | undefined {
  return isSslmodeDefault && !hosts.every(isLocal)
    ? 'DATABASE_URL says no sslmode: the connections to another machine are encrypted only where the server offers it, and nobody looks at who it is. Say sslmode=verify-full with sslrootcert.'
    : undefined;
}

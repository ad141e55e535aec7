/** What is told of a connection, by its address and by libpq's variables, before anything is made of it. */

export type Parameters = Record<string, string>;

/** libpq's variables and the parameters they stand for (PostgreSQL manual, 32.15); what the address says goes first. */
const variables: Parameters = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGSERVICE: 'service',
  PGOPTIONS: 'options',
  PGAPPNAME: 'application_name',
  PGSSLMODE: 'sslmode',
  PGREQUIRESSL: 'requiressl',
  PGSSLNEGOTIATION: 'sslnegotiation',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLCERTMODE: 'sslcertmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCRL: 'sslcrl',
  PGSSLCRLDIR: 'sslcrldir',
  PGSSLMINPROTOCOLVERSION: 'ssl_min_protocol_version',
  PGSSLMAXPROTOCOLVERSION: 'ssl_max_protocol_version',
  PGREQUIREPEER: 'requirepeer',
  PGREQUIREAUTH: 'require_auth',
  PGCHANNELBINDING: 'channel_binding',
  PGGSSENCMODE: 'gssencmode',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGCLIENTENCODING: 'client_encoding',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGLOADBALANCEHOSTS: 'load_balance_hosts',
};

/** The variables of an environment that libpq reads, for connections that are made later. */
export const connectionVariables = (environment: NodeJS.ProcessEnv): Parameters =>
  Object.fromEntries(
    ['HOME', ...Object.keys(variables)].flatMap((name) => {
      const value = environment[name];
      return value === undefined || value === '' ? [] : [[name, value]];
    }),
  );

const form = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const hostForm = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/;

/**
 * The parameters of an address in the form that libpq takes (PostgreSQL manual, 32.1.1.2): several hosts, a socket's
 * directory as the host, everything else after `?`. Undefined where it is none.
 */
export function readConnectionString(url: string, environment: NodeJS.ProcessEnv): Parameters | undefined {
  try {
    return { ...ofEnvironment(environment), ...ofAddress(url) };
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

const ofEnvironment = (environment: NodeJS.ProcessEnv): Parameters =>
  Object.fromEntries(
    Object.entries(connectionVariables(environment)).flatMap(([name, value]) => {
      const parameter = variables[name];
      return parameter === undefined ? [] : [[parameter, value]];
    }),
  );

function ofAddress(url: string): Parameters {
  const [, login = '', hosts = '', database = '', query = ''] = form.exec(url) ?? malformed();
  const [user = '', ...password] = login.split(':');
  const said = { user, password: password.join(':'), dbname: database, ...ofHosts(hosts) };
  const present = Object.entries(said).flatMap(([name, value]): [string, string][] =>
    value === '' ? [] : [[name, decodeURIComponent(value)]],
  );
  return Object.fromEntries([...present, ...query.split('&').filter(Boolean).map(ofPair)]);
}

/** Names and ports are lists of their own, as libpq has them. */
function ofHosts(text: string): { host: string; port: string } {
  const hosts = text.split(',').map((each) => hostForm.exec(each) ?? malformed());
  const ports = hosts.map(([, , port = '']) => port);
  return {
    host: hosts.map(([, host = '']) => host.replace(/^\[(.*)\]$/, '$1')).join(','),
    port: ports.every((port) => port === '') ? '' : ports.join(','),
  };
}

function ofPair(pair: string): [string, string] {
  const [name = '', ...value] = pair.split('=');
  if (value.length !== 1) malformed();
  return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
}

function malformed(): never {
  throw new URIError('not the address of a database');
}

import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import type { ConnectionSettings, Host } from './connection-settings.ts';
import { codeOf } from '../error-code.ts';

/** The files and bounds that TLS is made of, as they were named. */
export interface TlsFiles {
  /** A file, or `system` for the authorities that this machine and NODE_EXTRA_CA_CERTS know. */
  rootCertificate: string | undefined;
  certificate: string | undefined;
  key: string | undefined;
  passphrase: string | undefined;
  revocations: string | undefined;
  minVersion: tls.SecureVersion | undefined;
  maxVersion: tls.SecureVersion | undefined;
  /** Under which libpq looks for files that nobody named. */
  home: string | undefined;
}

/** Where libpq looks where nothing is named (PostgreSQL manual, 32.19.1 and 32.19.2). */
function libpqFile({ home }: TlsFiles, name: string): string | undefined {
  const file = home === undefined ? undefined : join(home, '.postgresql', name);
  return file !== undefined && existsSync(file) ? file : undefined;
}

const rootCertificateOf = (files: TlsFiles) => files.rootCertificate ?? libpqFile(files, 'root.crt');

/** As last read: a file that is just being replaced must not fail a connection, let alone the process. */
const lastRead = new Map<string, string>();

function read(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    const text = readFileSync(file, 'utf8');
    lastRead.set(file, text);
    return text;
  } catch (error) {
    const known = lastRead.get(file);
    if (known === undefined) throw error;
    return known;
  }
}

function authorities(rootCertificate: string | undefined): string | string[] | undefined {
  return rootCertificate === 'system'
    ? [...tls.getCACertificates('system'), ...tls.getCACertificates('extra')]
    : read(rootCertificate);
}

/**
 * What TLS asks of a server, by libpq's table (PostgreSQL manual, 32.19.3): `require` verifies where an authority is
 * known, and only `verify-full` looks at the name. Read anew for each connection, so that a renewed certificate is used.
 */
export function tlsOptions({ sslmode, tls: files }: ConnectionSettings, host: Host): tls.ConnectionOptions {
  const certificate = files.certificate ?? libpqFile(files, 'postgresql.crt');
  const rootCertificate = rootCertificateOf(files);
  const verifies = sslmode.startsWith('verify-') || (sslmode === 'require' && rootCertificate !== undefined);
  return {
    ...defined({
      ca: verifies ? authorities(rootCertificate) : undefined,
      crl: verifies ? read(files.revocations) : undefined,
      cert: read(certificate),
      key: certificate === undefined ? undefined : read(files.key ?? libpqFile(files, 'postgresql.key')),
      passphrase: files.passphrase,
      minVersion: files.minVersion,
      maxVersion: files.maxVersion,
    }),
    rejectUnauthorized: verifies,
    // Node would take an address that is not in the certificate for `localhost`: the name is always the one that was asked
    checkServerIdentity: (_, peer) =>
      sslmode === 'verify-full' ? tls.checkServerIdentity(host.name, peer) : undefined,
  };
}

const defined = (options: tls.ConnectionOptions): tls.ConnectionOptions =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));

/** What would fail every connection, said at start. */
export function tlsProblems(settings: ConnectionSettings): string[] {
  const { sslmode, tls: files, isDirectTls } = settings;
  const verifies = sslmode.startsWith('verify-');
  return [
    ...(verifies && rootCertificateOf(files) === undefined
      ? [`sslrootcert: is required with sslmode=${sslmode}; "system" means the authorities that this machine trusts`]
      : []),
    ...(files.rootCertificate === 'system' && sslmode !== 'verify-full'
      ? ['sslmode: must be verify-full with sslrootcert=system, whose authorities sign for anybody']
      : []),
    ...(files.rootCertificate === 'system' && authorities('system')?.length === 0
      ? ['sslrootcert: this machine has no certificate authorities']
      : []),
    ...(isDirectTls && ['disable', 'allow', 'prefer'].includes(sslmode)
      ? ['sslnegotiation: direct needs sslmode=require or stronger']
      : []),
    ...((files.certificate === undefined) === (files.key === undefined)
      ? []
      : ['sslcert, sslkey: one needs the other']),
    ...unusable(settings),
  ];
}

/** Files that cannot be read or are not what they are named for. */
function unusable({ tls: files }: ConnectionSettings): string[] {
  const named = {
    sslrootcert: files.rootCertificate,
    sslcert: files.certificate,
    sslkey: files.key,
    sslcrl: files.revocations,
  };
  const unreadable = Object.entries(named).flatMap(([parameter, file]) => {
    try {
      if (file !== 'system') read(file);
      return [];
    } catch (error) {
      return [`${parameter}: cannot be read (${codeOf(error)})`];
    }
  });
  return unreadable.length > 0 ? unreadable : misfit(files);
}

/** Node takes a file without a certificate for an empty list of authorities. */
function onlyCertificates<T extends string | string[] | undefined>(found: T): T {
  if (typeof found === 'string') void new X509Certificate(found);
  return found;
}

function misfit(files: TlsFiles): string[] {
  const contexts = {
    sslrootcert: () => ({ ca: onlyCertificates(authorities(files.rootCertificate)) }),
    'sslcert, sslkey': () => ({ cert: read(files.certificate), key: read(files.key), passphrase: files.passphrase }),
    sslcrl: () => ({ crl: read(files.revocations) }),
  };
  return Object.entries(contexts).flatMap(([parameter, context]) => {
    try {
      tls.createSecureContext(defined(context()));
      return [];
    } catch (error) {
      return [`${parameter}: cannot be used (${codeOf(error)})`];
    }
  });
}

import { promisify } from 'node:util';
import forge from 'node-forge';

/** A key and its certificate, as PEM. */
export interface Pair {
  certificate: string;
  key: string;
}
export interface Authority {
  certificate: string;
  /** For these host names and addresses; `commonName` is who a client is. */
  issue(options: { names?: string[]; addresses?: string[]; commonName?: string }): Promise<Pair>;
}

const makeKeys = promisify(
  (done: (error: Error | null, keys: forge.pki.rsa.KeyPair) => void) =>
    void forge.pki.rsa.generateKeyPair({ bits: 2048 }, done),
);
const nameOf = (value: string) => [{ name: 'commonName', value }];
/** As in a subject's alternative names (RFC 5280, 4.2.1.6). */
const [DNS, IP] = [2, 7];

/** A certificate authority of a test's own. */
export async function createAuthority(name: string): Promise<Authority> {
  const keys = await makeKeys();
  const subject = nameOf(name);
  const sign = (publicKey: forge.pki.rsa.PublicKey, commonName: string, extensions: object[]): string => {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = publicKey;
    certificate.serialNumber = `00${forge.util.bytesToHex(forge.random.getBytesSync(12))}`;
    certificate.validity.notBefore = new Date(Date.now() - 60_000);
    certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
    certificate.setSubject(nameOf(commonName));
    certificate.setIssuer(subject);
    certificate.setExtensions(extensions);
    certificate.sign(keys.privateKey, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  };
  return {
    certificate: sign(keys.publicKey, name, [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ]),
    async issue({ names = [], addresses = [], commonName = 'test' }) {
      const theirs = await makeKeys();
      const altNames = [...names.map((value) => ({ type: DNS, value })), ...addresses.map((ip) => ({ type: IP, ip }))];
      const extensions = altNames.length === 0 ? [] : [{ name: 'subjectAltName', altNames }];
      return {
        certificate: sign(theirs.publicKey, commonName, [{ name: 'basicConstraints', cA: false }, ...extensions]),
        key: forge.pki.privateKeyToPem(theirs.privateKey),
      };
    },
  };
}

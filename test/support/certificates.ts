/** Certificates for tests: an authority, and what it signs. Elliptic curves, since they are quick to make. */
import { generate } from 'selfsigned';

export interface Pem {
  readonly certificate: string;
  readonly key: string;
}

const common = { keyType: 'ec', algorithm: 'sha256' } as const;

export async function makeAuthority(name = 'test authority'): Promise<Pem> {
  const made = await generate([{ name: 'commonName', value: name }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certificate: made.cert, key: made.private };
}

export interface CertificateDraft {
  readonly commonName: string;
  readonly dns?: readonly string[];
  readonly notAfter?: Date;
  readonly notBefore?: Date;
}

/** For servers on 127.0.0.1 and for clients alike. */
export async function signCertificate(
  authority: Pem,
  { commonName, dns = [], notBefore, notAfter }: CertificateDraft,
): Promise<Pem> {
  const made = await generate([{ name: 'commonName', value: commonName }], {
    ...common,
    ca: { key: authority.key, cert: authority.certificate },
    ...(notBefore && { notBeforeDate: notBefore }),
    ...(notAfter && { notAfterDate: notAfter }),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip: '127.0.0.1' },
          { type: 2, value: 'localhost' },
          ...dns.map((value) => ({ type: 2 as const, value })),
        ],
      },
    ],
  });
  return { certificate: made.cert, key: made.private };
}

/**
 * TLS from files: the server's certificate and key, and the authority that signs clients. Followed while the server runs.
 *
 * Promises: a certificate that does not fit its key, is expired or cannot be read never takes the place of one that works; connections that are open go on with
 * what they had. TLS 1.2 and above with Node's own choice of ciphers, as grpc-js sets it.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import { asHarmonidError, HarmonidError } from '../errors.js';
import { lookRepeatedly } from '../files/repeated-look.js';

export interface TlsOptions {
  /** PEM: the server's certificate, then those between it and its authority. */
  readonly certificateFile: string;
  /** PEM, not encrypted. */
  readonly keyFile: string;
  /** PEM: who signs client certificates. Default: clients show none. */
  readonly clientCaFile?: string | undefined;
  /** Whether a client without a certificate is turned away at once, also one with a key. Default false. */
  readonly requireClientCertificate?: boolean | undefined;
}

export interface FollowedCertificates {
  readonly credentials: ServerCredentials;
  /** When the certificate in use runs out. */
  readonly expiresAt: Date;
  close(): void;
}

export interface CertificateListeners {
  /** Another one is in use from now on. */
  readonly onChange: (facts: { readonly subject: string; readonly expiresAt: Date }) => void;
  /** What lies there now cannot be used: the one before stays in use. */
  readonly onFailure: (error: HarmonidError) => void;
}

interface Material {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  readonly clientCa: Buffer | null;
  readonly subject: string;
  readonly expiresAt: Date;
}

type Provider = NonNullable<Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]>;
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0];
type CaListener = Parameters<Provider['addCaCertificateListener']>[0];

/** Certificates come by the month; an orchestrator's sidecar wants to see its new one in use within seconds. */
const followMs = 2_000;

/** @throws ACCESS_INVALID naming the file */
export async function followCertificates(
  options: TlsOptions,
  { onChange, onFailure }: CertificateListeners,
): Promise<FollowedCertificates> {
  let material = await readMaterial(options);
  const identityListeners = new Set<IdentityListener>();
  const caListeners = new Set<CaListener>();
  const tellIdentity = (listener: IdentityListener): void =>
    listener({ certificate: material.certificate, privateKey: material.privateKey });
  const tellCa = (listener: CaListener): void => {
    listener(material.clientCa ? { caCertificate: material.clientCa } : null);
  };
  const provider: Provider = {
    addIdentityCertificateListener: (listener) => {
      identityListeners.add(listener);
      // grpc-js hears what it is told only when it has returned from adding.
      queueMicrotask(() => tellIdentity(listener));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
    addCaCertificateListener: (listener) => {
      caListeners.add(listener);
      queueMicrotask(() => tellCa(listener));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
  };
  let lastFailure: string | null = null;
  const look = async (): Promise<void> => {
    try {
      const next = await readMaterial(options);
      lastFailure = null;
      if (isSame(next, material)) return;
      material = next;
      for (const listener of caListeners) tellCa(listener);
      for (const listener of identityListeners) tellIdentity(listener);
      onChange({ subject: next.subject, expiresAt: next.expiresAt });
    } catch (error) {
      const failure = asHarmonidError(error);
      // Told once, not at every look.
      if (failure.message !== lastFailure) onFailure(failure);
      lastFailure = failure.message;
    }
  };
  const close = lookRepeatedly(followMs, look);
  return {
    // The first is the server's own, the second the authority's; grpc-js's declaration names them the other way round.
    credentials: experimental.createCertificateProviderServerCredentials(
      provider,
      options.clientCaFile === undefined ? null : provider,
      options.requireClientCertificate ?? false,
    ),
    get expiresAt() {
      return material.expiresAt;
    },
    close,
  };
}

async function readMaterial({ certificateFile, keyFile, clientCaFile }: TlsOptions): Promise<Material> {
  const certificate = await readPem(certificateFile);
  const privateKey = await readPem(keyFile);
  const clientCa = clientCaFile === undefined ? null : await readPem(clientCaFile);
  const leaf = within(certificateFile, () => new X509Certificate(certificate));
  const key = within(keyFile, () => createPrivateKey(privateKey));
  if (!leaf.checkPrivateKey(key)) throw invalid(keyFile, `is not the key of the certificate in ${certificateFile}`);
  const expiresAt = new Date(leaf.validTo);
  if (expiresAt.getTime() <= Date.now()) throw invalid(certificateFile, `expired at ${expiresAt.toISOString()}`);
  if (clientCa) within(clientCaFile ?? '', () => new X509Certificate(clientCa));
  within(certificateFile, () =>
    createSecureContext({ cert: certificate, key: privateKey, ...(clientCa && { ca: clientCa }) }),
  );
  return { certificate, privateKey, clientCa, subject: leaf.subject.replaceAll('\n', ', '), expiresAt };
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw invalid(file, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

function within<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw invalid(file, `is not what is wanted: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

function invalid(file: string, what: string, cause?: unknown): HarmonidError {
  return new HarmonidError('ACCESS_INVALID', `${file} ${what}`, {
    details: { file },
    ...(cause !== undefined && { cause }),
  });
}

function isSame(a: Material, b: Material): boolean {
  return (
    a.certificate.equals(b.certificate) &&
    a.privateKey.equals(b.privateKey) &&
    (a.clientCa === null ? b.clientCa === null : b.clientCa !== null && a.clientCa.equals(b.clientCa))
  );
}

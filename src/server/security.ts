/**
 * How a server is closed to strangers: what it listens with, who may come in, and what is told when something of it changes.
 *
 * Promises: without encryption or without a list of keys it is refused beyond loopback addresses, unless the operator says so in so many words, and then a warning says
 * what that means. Lists and certificates are followed while it runs.
 */
import { ServerCredentials } from '@grpc/grpc-js';
import { followAccessFile } from '../access/access-file.js';
import type { AccessList } from '../access/access-list.js';
import { Gatekeeper } from '../access/gatekeeper.js';
import { HarmonidError } from '../errors.js';
import { formatAddress, isLoopback, parseAddress, type Address } from './address.js';
import type { ServerLogger } from './calls.js';
import { followCertificates, type FollowedCertificates, type TlsOptions } from './certificates.js';
import { Guard, type Refusal } from './guard.js';

export interface SecurityOptions {
  /** Default: no encryption, which is refused beyond loopback addresses. */
  readonly tls?: TlsOptions | undefined;
  /**
   * The list of keys and certificates that `harmonid keys` makes. Default: everybody may do everything, which is refused beyond loopback
   * addresses.
   */
  readonly accessFile?: string | undefined;
  /** Listens without encryption beyond loopback addresses: keys and faces can be read on the way. Default false. */
  readonly allowPlaintext?: boolean | undefined;
  /** Listens without a list of keys beyond loopback addresses. Default false. */
  readonly allowAnonymous?: boolean | undefined;
}

export interface Security {
  readonly guard: Guard;
  readonly credentials: ServerCredentials;
  /** Who may come in when it is opened; null without a list. */
  readonly list: AccessList | null;
  /** Null without encryption. */
  readonly certificates: FollowedCertificates | null;
  close(): void;
}

export interface SecurityListeners {
  readonly logger: ServerLogger | undefined;
  readonly onRefusal: (refusal: Refusal) => void;
  /** Some who were let in may have to go. */
  readonly onListChange: (list: AccessList) => void;
}

/** @throws INVALID_ARGUMENT for an address that would be open to strangers, ACCESS_INVALID */
export async function openSecurity(
  options: SecurityOptions,
  address: Address,
  { logger, onRefusal, onListChange }: SecurityListeners,
): Promise<Security> {
  refuseOpenDoor(address, options);
  const following: { close(): void }[] = [];
  const close = (): void => following.forEach((each) => each.close());
  try {
    let gatekeeper: Gatekeeper | null = null;
    let opened: AccessList | null = null;
    if (options.accessFile !== undefined) {
      const followed = await followAccessFile(options.accessFile, {
        onChange: (list) => {
          gatekeeper?.replace(list);
          logger?.info({ entries: list.length }, 'the list of keys changed');
          onListChange(list);
        },
        onFailure: (err) => logger?.error({ err }, 'the list of keys cannot be used; the one before stays in force'),
      });
      following.push(followed);
      opened = followed.list;
      gatekeeper = new Gatekeeper(opened, () => new Date());
    }
    let certificates: FollowedCertificates | null = null;
    if (options.tls) {
      certificates = await followCertificates(options.tls, {
        onChange: (facts) => logger?.info(facts, 'another certificate is in use'),
        onFailure: (err) => logger?.error({ err }, 'the certificate cannot be used; the one before stays in use'),
      });
      following.push(certificates);
    }
    warnOfOpenDoor(address, options, logger);
    const credentials = certificates?.credentials ?? ServerCredentials.createInsecure();
    const guard = new Guard({ gatekeeper, onRefusal });
    return { guard, credentials, list: opened, certificates, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Refuses what `openSecurity` would refuse now, for whoever has long things to do before. @throws what `openSecurity` throws */
export async function checkSecurity(options: SecurityOptions, address: string): Promise<void> {
  const ignore = (): void => undefined;
  const listeners = { logger: undefined, onRefusal: ignore, onListChange: ignore };
  const security = await openSecurity(options, parseAddress(address), listeners);
  security.close();
}

function refuseOpenDoor(address: Address, { tls, accessFile, allowPlaintext, allowAnonymous }: SecurityOptions): void {
  if (isLoopback(address)) return;
  const at = formatAddress(address);
  if (!tls && allowPlaintext !== true) {
    throw openDoor(
      `${at} is reached from other machines, and there is no certificate: give one (tls), listen on 127.0.0.1, or allow plaintext`,
    );
  }
  if (accessFile === undefined && allowAnonymous !== true) {
    throw openDoor(
      `${at} is reached from other machines, and there is no list of keys: make one with \`harmonid keys add\`, listen on 127.0.0.1, or allow anonymous callers`,
    );
  }
}

function warnOfOpenDoor(
  address: Address,
  { tls, accessFile }: SecurityOptions,
  logger: ServerLogger | undefined,
): void {
  if (isLoopback(address)) return;
  const facts = { address: formatAddress(address) };
  if (!tls) logger?.warn(facts, 'NOT ENCRYPTED: whoever is on the way can read faces, vectors and keys');
  if (accessFile === undefined)
    logger?.warn(facts, 'NO KEYS: whoever reaches this address can enroll, read, export and erase people');
}

function openDoor(message: string): HarmonidError {
  return new HarmonidError('INVALID_ARGUMENT', message, { details: { argument: 'address' } });
}

/**
 * HarmonidError on the wire and back.
 *
 * A refused call carries the code twice in its trailing metadata: as text in `harmonid-code`, for languages in which decoding
 * details is awkward, and as google.rpc.ErrorInfo inside `grpc-status-details-bin`. The client rebuilds the same code, message
 * and details from it. INTERNAL crosses the wire without message or details of its own. Trailers stay under the 8 KiB that
 * common peers accept: long messages are cut, details that do not fit are left out. A refusal that says when to try again (`retryAfterMs`) also carries
 * google.rpc.RetryInfo and gRPC's own push-back.
 */
import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import { errorCodes, HarmonidError, type ErrorCode, type ErrorDetails } from '../errors.js';
import { ErrorInfo, RetryInfo } from './google/rpc/error_details.js';
import { Status } from './google/rpc/status.js';
import type { Error as WireError } from './harmonid/v1/common.js';

/** The gRPC status of each code. */
export const grpcStatus = {
  IMAGE_EMPTY: status.INVALID_ARGUMENT,
  IMAGE_UNREADABLE: status.INVALID_ARGUMENT,
  IMAGE_TOO_LARGE: status.INVALID_ARGUMENT,
  IMAGE_WRONG_SIZE: status.INVALID_ARGUMENT,
  NO_FACE: status.INVALID_ARGUMENT,
  SEVERAL_FACES: status.INVALID_ARGUMENT,
  // The same photo passes under another policy.
  FACE_REFUSED: status.FAILED_PRECONDITION,
  NO_PRESENTATION_SCORE: status.FAILED_PRECONDITION,
  VECTOR_WRONG_LENGTH: status.INVALID_ARGUMENT,
  VECTOR_NOT_FINITE: status.INVALID_ARGUMENT,
  VECTOR_ZERO_NORM: status.INVALID_ARGUMENT,
  SPACE_MISMATCH: status.FAILED_PRECONDITION,
  INVALID_IDENTIFIER: status.INVALID_ARGUMENT,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  GALLERY_NOT_FOUND: status.NOT_FOUND,
  GALLERY_EXISTS: status.ALREADY_EXISTS,
  IDENTITY_NOT_FOUND: status.NOT_FOUND,
  TEMPLATE_NOT_FOUND: status.NOT_FOUND,
  IDENTITY_ERASED: status.FAILED_PRECONDITION,
  DUPLICATE_FACE: status.ALREADY_EXISTS,
  IDEMPOTENCY_CONFLICT: status.FAILED_PRECONDITION,
  // Read again and retry, says the definition of ABORTED.
  VERSION_CONFLICT: status.ABORTED,
  LIMIT_EXCEEDED: status.RESOURCE_EXHAUSTED,
  EMBEDDER_MISSING: status.FAILED_PRECONDITION,
  MODEL_NOT_FOUND: status.NOT_FOUND,
  MODEL_INVALID: status.FAILED_PRECONDITION,
  ROLLOUT_NOT_FOUND: status.NOT_FOUND,
  ROLLOUT_STATE: status.FAILED_PRECONDITION,
  GATE_REFUSED: status.FAILED_PRECONDITION,
  PROVIDER_UNAVAILABLE: status.FAILED_PRECONDITION,
  DATA_NOT_FOUND: status.FAILED_PRECONDITION,
  DATA_FORMAT_NEWER: status.FAILED_PRECONDITION,
  DATA_LOCKED: status.FAILED_PRECONDITION,
  DATA_READ_ONLY: status.FAILED_PRECONDITION,
  DATA_CORRUPT: status.DATA_LOSS,
  DISK_FULL: status.RESOURCE_EXHAUSTED,
  KEY_REQUIRED: status.FAILED_PRECONDITION,
  KEY_WRONG: status.FAILED_PRECONDITION,
  BACKUP_INVALID: status.DATA_LOSS,
  DATA_EXISTS: status.FAILED_PRECONDITION,
  CONFIG_INVALID: status.FAILED_PRECONDITION,
  ADDRESS_IN_USE: status.FAILED_PRECONDITION,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  ACCESS_INVALID: status.FAILED_PRECONDITION,
  AUDIT_UNAVAILABLE: status.UNAVAILABLE,
  CANCELLED: status.CANCELLED,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: status.UNAVAILABLE,
  CLOSED: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

const codeKey = 'harmonid-code';
const detailsKey = 'grpc-status-details-bin';
const domain = 'harmonid';
const errorInfoUrl = 'type.googleapis.com/google.rpc.ErrorInfo';
const retryInfoUrl = 'type.googleapis.com/google.rpc.RetryInfo';
/** Retry policies of gRPC clients heed this trailer. */
const pushbackKey = 'grpc-retry-pushback-ms';

// Percent-encoding may triple the message, base64 adds a third to the details, and the message travels in both.
const messageBytesMax = 1024;
const detailsBytesMax = 2048;

/** What grpc-js wants of a refused call. */
export function statusOf(error: HarmonidError): StatusObject {
  const { code, message, details } = wireErrorOf(error);
  const metadata = new Metadata();
  metadata.set(codeKey, code);
  const info: ErrorInfo = { reason: code, domain, metadata: details };
  const rich: Status = {
    code: grpcStatus[error.code],
    message,
    details: [{ typeUrl: errorInfoUrl, value: ErrorInfo.encode(info).finish() }],
  };
  const { retryAfterMs } = error.details;
  if (typeof retryAfterMs === 'number') {
    const retryDelay = { seconds: Math.floor(retryAfterMs / 1000), nanos: Math.round(retryAfterMs % 1000) * 1e6 };
    rich.details.push({ typeUrl: retryInfoUrl, value: RetryInfo.encode({ retryDelay }).finish() });
    metadata.set(pushbackKey, String(Math.ceil(retryAfterMs)));
  }
  metadata.set(detailsKey, Buffer.from(Status.encode(rich).finish()));
  return { code: grpcStatus[error.code], details: message, metadata };
}

/** The error of one item or frame, inside a message. */
export function wireErrorOf(error: HarmonidError): WireError {
  if (error.code === 'INTERNAL') return { code: error.code, message: errorCodes.INTERNAL, details: {} };
  return { code: error.code, message: printable(error.message), details: formatDetails(error.details) };
}

/** Back from a message. */
export function errorOfWire({ code, message, details }: WireError): HarmonidError {
  return new HarmonidError(parseCode(code) ?? 'INTERNAL', message, { details: parseDetails(details) });
}

/** Back from a failed call; `peer` names the server where the transport itself failed. */
export function errorOfStatus(
  failed: Partial<StatusObject> & { readonly message?: string },
  peer: string,
): HarmonidError {
  const code = parseCode(failed.metadata?.get(codeKey)[0]?.toString());
  const message = failed.details || failed.message || 'the call failed';
  if (code === undefined) {
    const transportCode = isCut(failed.code, message)
      ? 'UNAVAILABLE'
      : (transportCodes[failed.code ?? status.UNKNOWN] ?? 'INTERNAL');
    // The transport's own words for this are long and speak of name resolution; they stay in the cause.
    const text = transportCode === 'UNAVAILABLE' ? `no server at ${peer} answers` : `server ${peer}: ${message}`;
    return new HarmonidError(transportCode, text, { cause: failed });
  }
  return new HarmonidError(code, message, { details: richDetails(failed.metadata) });
}

/** A server that dies in the middle of a call: the transport tells the end of the connection as an internal error. */
function isCut(code: status | undefined, message: string): boolean {
  return code === status.INTERNAL && /RST_STREAM|ECONNRESET|socket hang up|Connection dropped/i.test(message);
}

/** What a status means that harmonid's server did not write: the transport's own, a proxy's. All others are INTERNAL. */
const transportCodes: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.CANCELLED]: 'CANCELLED',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.UNAVAILABLE]: 'UNAVAILABLE',
  // A message larger than the other side takes.
  [status.RESOURCE_EXHAUSTED]: 'LIMIT_EXCEEDED',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.PERMISSION_DENIED]: 'PERMISSION_DENIED',
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.OUT_OF_RANGE]: 'INVALID_ARGUMENT',
};

function richDetails(metadata: Metadata | undefined): ErrorDetails {
  const encoded = metadata?.get(detailsKey)[0];
  if (!Buffer.isBuffer(encoded)) return {};
  try {
    const info = Status.decode(encoded).details.find(({ typeUrl }) => typeUrl === errorInfoUrl);
    return info ? parseDetails(ErrorInfo.decode(info.value).metadata) : {};
  } catch {
    // A proxy's own idea of details; code and message stand without them.
    return {};
  }
}

function formatDetails(details: ErrorDetails): Record<string, string> {
  const formatted: Record<string, string> = {};
  let bytes = 0;
  for (const [key, value] of Object.entries(details)) {
    const text = value === undefined ? undefined : JSON.stringify(value);
    if (text === undefined) continue;
    bytes += Buffer.byteLength(key) + Buffer.byteLength(text);
    if (bytes > detailsBytesMax) break;
    formatted[key] = text;
  }
  return formatted;
}

function parseDetails(details: Readonly<Record<string, string>>): ErrorDetails {
  return Object.fromEntries(Object.entries(details).map(([key, text]) => [key, parseJson(text)]));
}

/** Values of peers that write plain text are kept as such. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function parseCode(value: string | undefined): ErrorCode | undefined {
  return value !== undefined && isErrorCode(value) ? value : undefined;
}

function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(errorCodes, value);
}

/** Well-formed Unicode of bounded length: grpc-js percent-encodes the message and throws on a lone surrogate. */
function printable(message: string): string {
  return Buffer.from(message).subarray(0, messageBytesMax).toString();
}

/**
 * The one error class of harmonid and the one table of its codes.
 *
 * Promises: every refusal that a caller can act on is a `HarmonidError` whose `code` is a key of `errorCodes`; the
 * library, the command line and the gRPC server use the same codes. The table is the source of the README's list
 * and of the gRPC status mapping. Nothing here imports anything else of the project.
 */

/** What each code means, in the words that the documentation prints. */
export const errorCodes = {
  // The image
  IMAGE_EMPTY: 'The image has no bytes.',
  IMAGE_UNREADABLE: 'The bytes are not an image that can be decoded, or they are cut short.',
  IMAGE_TOO_LARGE: 'The image has more bytes or pixels than the limit allows.',
  IMAGE_WRONG_SIZE: 'A crop passed as already aligned does not have the size that the model pack expects.',
  // The face
  NO_FACE: 'No face was found in the image.',
  SEVERAL_FACES: 'The image shows several faces where one is wanted.',
  FACE_REFUSED: 'The face does not meet a policy of the gallery; details.reasons says why.',
  NO_PRESENTATION_SCORE:
    'The gallery requires a presentation score, and there is none; details.missing says what would give it.',
  // The vector
  VECTOR_WRONG_LENGTH: 'The vector has another number of dimensions than its space.',
  VECTOR_NOT_FINITE: 'The vector holds NaN, an infinity or something that is not a number.',
  VECTOR_ZERO_NORM: 'The vector has no direction: its norm is zero.',
  SPACE_MISMATCH: 'The vector belongs to another space than the gallery; they cannot be compared.',
  // Names and arguments
  INVALID_IDENTIFIER: 'The identifier is empty, too long, or holds characters that are not allowed.',
  INVALID_ARGUMENT: 'An argument is missing, out of range, or contradicts another.',
  // What is there
  GALLERY_NOT_FOUND: 'There is no gallery of that name.',
  GALLERY_EXISTS: 'A gallery of that name exists already, with other settings.',
  IDENTITY_NOT_FOUND: 'The gallery has no identity of that name.',
  TEMPLATE_NOT_FOUND: 'The identity has no template of that number.',
  IDENTITY_ERASED: 'The person was erased, and is kept from coming back by an import or by a retry.',
  DUPLICATE_FACE: 'The face is already enrolled under another identity; details.candidates names it.',
  IDEMPOTENCY_CONFLICT: 'The idempotency key was used before for a different request.',
  VERSION_CONFLICT: 'The identity was changed since the version that the caller named.',
  LIMIT_EXCEEDED: 'A limit of the gallery or of the server would be exceeded.',
  // Models
  EMBEDDER_MISSING: 'An image was given, but the database was opened without an embedder.',
  MODEL_NOT_FOUND: 'There is no model pack of that name.',
  MODEL_INVALID: 'The model pack is incomplete, contradicts its manifest, or its digest is wrong.',
  ROLLOUT_NOT_FOUND: 'The gallery has no rollout.',
  ROLLOUT_STATE: 'The rollout is in a state in which that cannot be done.',
  GATE_REFUSED: 'A gate of the rollout refuses; details.gates says which, by how much, and what would help.',
  PROVIDER_UNAVAILABLE: 'The execution provider that was asked for cannot start on this machine.',
  // The data directory and the process
  DATA_NOT_FOUND: 'There is no data directory at that path.',
  DATA_FORMAT_NEWER: 'The data directory was written by a newer version of harmonid.',
  DATA_LOCKED: 'Another process has the data directory open.',
  DATA_READ_ONLY: 'The data directory cannot be written.',
  DATA_CORRUPT: 'A stored record does not match its checksum or its schema.',
  DISK_FULL: 'The disk is full; nothing was written.',
  KEY_REQUIRED: 'The data directory is encrypted, and no key was given.',
  KEY_WRONG: 'The key is not the one with which the data directory is sealed, or it is no key.',
  BACKUP_INVALID: 'The backup is incomplete or damaged, or it is no backup.',
  DATA_EXISTS: 'There is data where something new was to be written.',
  CONFIG_INVALID:
    'The configuration has a key or a value that is not allowed; details.problems names each with its place.',
  ADDRESS_IN_USE: 'The address to listen on is in use.',
  // Who asks
  UNAUTHENTICATED: 'No key or certificate was shown, or none that is known.',
  PERMISSION_DENIED: 'The key or certificate does not permit that, or not in that gallery.',
  ACCESS_INVALID: 'The list of keys, or a certificate of the server, is missing, unreadable or invalid.',
  AUDIT_UNAVAILABLE: 'The audit log cannot be written, and what cannot be recorded is refused.',
  // The call
  CANCELLED: 'The caller cancelled the request.',
  DEADLINE_EXCEEDED: 'The deadline passed before the answer was ready.',
  OVERLOADED: 'The request was refused because it could not be started in time; try again later.',
  UNAVAILABLE: 'The server cannot be reached, or it is starting or draining.',
  CLOSED: 'The database is closed.',
  INTERNAL: 'Something unexpected went wrong; the log has the cause.',
} as const;

/** A key of the table of error codes. */
export type ErrorCode = keyof typeof errorCodes;

/** Machine-readable facts beside the message: both sides of a disagreement, limits, candidates. JSON values only. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The one error class: callers branch on `code`, people read `message`, programs read `details`. */
export class HarmonidError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HarmonidError';
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Whether `value` is one of ours, also when it crossed a thread or a package boundary. */
export function isHarmonidError(value: unknown): value is HarmonidError {
  return (
    value instanceof Error && value.name === 'HarmonidError' && 'code' in value && String(value.code) in errorCodes
  );
}

/** `value` as a HarmonidError: ours as it is, anything else as INTERNAL with the original as `cause`. */
export function asHarmonidError(value: unknown): HarmonidError {
  if (isHarmonidError(value)) return value;
  return new HarmonidError('INTERNAL', 'internal error', { cause: value });
}

/** Programming mistakes, not input: throws INTERNAL with a constant message when `condition` does not hold. */
export function assertInvariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new HarmonidError('INTERNAL', `invariant violated: ${message}`);
}

/** What a call rejects with when its signal fires: the signal's own HarmonidError (a deadline, say), else CANCELLED. */
export function abortError(signal: AbortSignal): HarmonidError {
  const reason: unknown = signal.reason;
  if (isHarmonidError(reason)) return reason;
  // AbortSignal.timeout() aborts with a DOMException of this name.
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new HarmonidError('DEADLINE_EXCEEDED', 'the deadline passed before the answer was ready');
  }
  return new HarmonidError('CANCELLED', 'the caller cancelled the request');
}

/** @throws CANCELLED or DEADLINE_EXCEEDED when `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}

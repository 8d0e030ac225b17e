/** Errors that cross from one thread to another: a structured clone keeps neither class nor code. */
import { HarmonidError, type ErrorCode, type ErrorDetails } from '../errors.js';

/** An error as data. */
export interface FrozenError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
  /** The cause's stack or words, for the log. */
  readonly cause: string | null;
}

export function freezeError({ code, message, details, cause }: HarmonidError): FrozenError {
  return { code, message, details, cause: cause instanceof Error ? (cause.stack ?? cause.message) : null };
}

export function thawError({ code, message, details, cause }: FrozenError): HarmonidError {
  return new HarmonidError(code, message, { details, ...(cause === null ? {} : { cause: new Error(cause) }) });
}

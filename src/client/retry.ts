/**
 * What is worth another try, and how long to wait before it. Pure.
 *
 * gRPC has retries of its own, by service config. They are not used: they know a method and a status, where it takes the idempotency key of a
 * request, and one status stands for both OVERLOADED and DISK_FULL.
 */
import { isHarmonidError, type HarmonidError } from '../errors.js';

export const retriesDefault = 3;

/** The first wait, doubled with each try: a server that restarts is asked within its first second. */
const backoffFirstMs = 200;
const backoffMaxMs = 5_000;
/** A timer of Node with more fires at once. */
const timerMsMax = 2 ** 31 - 1;

/** Whether the same request may be answered a little later: there was no server, or it said when to come again. */
export function isPassing(error: unknown): error is HarmonidError {
  if (!isHarmonidError(error)) return false;
  return error.code === 'UNAVAILABLE' || (error.code === 'OVERLOADED' && askedToWaitMs(error) !== null);
}

/**
 * How long to wait after the `failures`th failure in a row, milliseconds. What the server asks for, and half to all of a backoff on top, so that those
 * who were turned away together do not come back together.
 * @param random uniform in [0, 1)
 */
export function waitBeforeRetryMs(error: HarmonidError, failures: number, random: () => number): number {
  const backoffMs = Math.min(backoffMaxMs, backoffFirstMs * 2 ** (failures - 1));
  return Math.min(timerMsMax, (askedToWaitMs(error) ?? 0) + backoffMs * (0.5 + random() / 2));
}

function askedToWaitMs({ details }: HarmonidError): number | null {
  const { retryAfterMs } = details;
  return typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : null;
}

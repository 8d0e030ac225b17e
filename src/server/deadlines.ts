/**
 * Deadlines of streams: nothing is written any more when grpc-js answers for a handler that is late.
 *
 * At the deadline grpc-js ends the stream of HTTP/2 by itself and tells of it only when the trailers have gone. A message that is written in
 * between, also one that waited in the stream's queue, is an error of that stream, which then sends no trailers: the client has no end of
 * its call, the server a stream for as long as the connection lasts.
 */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

/** Milliseconds: more than grpc-js's timer may run ahead of the clock that is read here. */
const leadMs = 2;

/** Holds messages back from the deadline on; what grpc-js answers then goes by here. */
export const endAtDeadline: ServerInterceptor = (_method, call) => {
  const deadline = Number(call.getDeadline());
  if (deadline === Infinity) return new ServerInterceptingCall(call);
  // Not by the wall clock, which may be set.
  const lastMs = performance.now() + (deadline - Date.now()) - leadMs;
  return new ServerInterceptingCall(call, {
    sendMessage: (message, next) => {
      if (performance.now() < lastMs) next(message);
    },
  });
};

/**
 * Calls that grpc-js answers by itself, in the middle of a handler's stream: at a deadline, or for a message that it cannot read.
 *
 * It ends the stream of HTTP/2 then, and tells of it only when the trailers have gone. A message that is written in between, also one that
 * waited in the stream's queue, is an error of that stream, which then sends no trailers: the client has no end of its call, the server
 * a stream for as long as the connection lasts. So nothing is written after a status, whoever sent it.
 */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

/** Stands first of all interceptors: it is given the call whose statuses are also grpc-js's own. */
export const nothingAfterStatus: ServerInterceptor = (_method, call) => {
  let hasStatus = false;
  const sendStatus = call.sendStatus.bind(call);
  call.sendStatus = (status) => {
    hasStatus = true;
    sendStatus(status);
  };
  return new ServerInterceptingCall(call, {
    sendMessage: (message, next) => {
      if (!hasStatus) next(message);
    },
  });
};

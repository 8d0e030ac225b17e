/** harmonid.v1.IdentityService: one short handler a call over any Database. */
import { HarmonidError, throwIfAborted } from '../errors.js';
import { wireErrorOf } from '../wire/error-status.js';
import {
  EnrollRequest,
  type IdentifyRequest,
  type IdentifyResponse,
  type IdentifyStreamRequest,
  type IdentifyStreamResponse,
  type IdentityServiceServer,
  type ImportRequest,
  type ImportResponse,
} from '../wire/harmonid/v1/identity.js';
import { givingWay } from './bulk-pace.js';
import type { CallContext, Calls } from './calls.js';
import {
  formatEmbedAnswer,
  formatEnrollAnswer,
  formatErasure,
  formatIdentification,
  formatIdentity,
  formatVerification,
} from './format.js';
import { NewestFrame } from './newest-frame.js';
import { parseEmbed, parseEnroll, parseIdentify, parseList, parseUpdateIdentity, parseVerify } from './parse.js';

export function identityService(calls: Calls): IdentityServiceServer {
  return {
    enroll: calls.unary(async (request, call) =>
      formatEnrollAnswer(await call.database.enroll(parseEnroll(request, call))),
    ),
    import: calls.bidirectional((requests, call) => importItems(requests, call)),
    identify: calls.unary((request, call) => identify(request, call)),
    identifyStream: calls.bidirectional((requests, call) => identifyFrames(requests, call)),
    verify: calls.unary(async (request, call) => {
      const answer = await call.database.verify(parseVerify(request, call));
      call.decided('verify', answer.decision);
      return formatVerification(answer);
    }),
    embed: calls.unary(async (request, call) =>
      formatEmbedAnswer(await call.database.embed(parseEmbed(request, call))),
    ),
    getIdentity: calls.unary(async ({ gallery, identity }, { database, signal }) => ({
      identity: formatIdentity(await database.getIdentity({ gallery, identity, signal })),
    })),
    listIdentities: calls.unary(async (request, call) => {
      const { identities, nextPageToken } = await call.database.listIdentities(parseList(request, call));
      return { identities: identities.map(formatIdentity), nextPageToken };
    }),
    updateIdentity: calls.unary(async (request, call) => ({
      identity: formatIdentity(await call.database.updateIdentity(parseUpdateIdentity(request, call))),
    })),
    removeTemplate: calls.unary(async ({ gallery, identity, template }, { database, signal }) => ({
      identity: formatIdentity(await database.removeTemplate({ gallery, identity, template, signal })),
    })),
    eraseIdentity: calls.unary(async ({ gallery, identity, prove }, { database, signal }) =>
      formatErasure(await database.eraseIdentity({ gallery, identity, prove, signal })),
    ),
  };
}

async function identify(request: IdentifyRequest, call: CallContext): Promise<IdentifyResponse> {
  const parsed = parseIdentify(request, call);
  const answers =
    'all' in parsed ? await call.database.identifyFaces(parsed.all) : [await call.database.identify(parsed.one)];
  for (const { decision } of answers) call.decided('identify', decision);
  return { identifications: answers.map(formatIdentification) };
}

async function* importItems(requests: AsyncIterable<ImportRequest>, call: CallContext): AsyncIterable<ImportResponse> {
  for await (const { index, identity, answer, error } of call.database.importAll(itemsOf(requests, call), call)) {
    yield answer
      ? { index, identity, result: { $case: 'answer', value: formatEnrollAnswer(answer) } }
      : { index, identity, result: { $case: 'error', value: wireErrorOf(call.report(error)) } };
  }
}

/** A missing item becomes one without an identity, which is refused without harm to the others. */
async function* itemsOf(
  requests: AsyncIterable<ImportRequest>,
  call: CallContext,
): AsyncIterable<ReturnType<typeof parseEnroll>> {
  for await (const { item } of givingWay(requests, call.giveWay))
    yield parseEnroll(item ?? EnrollRequest.create(), call);
}

async function* identifyFrames(
  requests: AsyncIterable<IdentifyStreamRequest>,
  call: CallContext,
): AsyncIterable<IdentifyStreamResponse> {
  const newest = new NewestFrame<IdentifyStreamRequest>();
  // Never rejects; its failure is thrown to the taker.
  void newest.fillFrom(requests);
  const stop = (): void => newest.end(new HarmonidError('UNAVAILABLE', 'the server is draining; connect again'));
  call.draining.addEventListener('abort', stop, { once: true });
  try {
    if (call.draining.aborted) stop();
    for (;;) {
      const request = await newest.take();
      if (!request) return;
      const { sequence, capturedAt } = request;
      const outcome = await frameOutcome(request, call);
      yield { sequence, capturedAt, dropped: newest.dropped, outcome };
    }
  } finally {
    call.draining.removeEventListener('abort', stop);
    newest.end();
  }
}

async function frameOutcome(
  { frame }: IdentifyStreamRequest,
  call: CallContext,
): Promise<NonNullable<IdentifyStreamResponse['outcome']>> {
  try {
    if (frame === undefined) throw new HarmonidError('INVALID_ARGUMENT', 'frame is missing');
    return { $case: 'answer', value: await identify(frame, call) };
  } catch (error) {
    throwIfAborted(call.signal);
    return { $case: 'error', value: wireErrorOf(call.report(error)) };
  }
}

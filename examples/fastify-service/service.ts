/**
 * People and faces over HTTP: the embedded library inside Fastify.
 *
 * Promises: a photo is the body of a request, as it is; one that is too large is refused before it is read. A refusal of the database has one HTTP status and
 * carries its code, so that clients branch on the table that they know; what is unexpected tells the client nothing and is in the log. Work for a
 * client that has gone is not begun. `close` lets requests in flight finish, then closes the database that it was given.
 */
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { HarmonidError, isHarmonidError, type Database, type ErrorCode } from 'harmonid';

export interface ServiceOptions {
  readonly database: Database;
  /** Largest photo, bytes. Default 8 MiB. */
  readonly photoBytesMax?: number | undefined;
  /** Writes requests and failures to the standard output, as JSON lines. Default false. */
  readonly logs?: boolean | undefined;
}

/** What the codes that can come are in HTTP; all others are the service's own fault: 500. */
const statuses = {
  IMAGE_EMPTY: 400,
  IMAGE_UNREADABLE: 415,
  IMAGE_TOO_LARGE: 413,
  NO_FACE: 422,
  SEVERAL_FACES: 422,
  FACE_REFUSED: 422,
  INVALID_IDENTIFIER: 400,
  INVALID_ARGUMENT: 400,
  GALLERY_NOT_FOUND: 404,
  IDENTITY_NOT_FOUND: 404,
  DUPLICATE_FACE: 409,
  IDEMPOTENCY_CONFLICT: 409,
  LIMIT_EXCEEDED: 409,
  // Nobody reads it: the client has gone.
  CANCELLED: 499,
  DISK_FULL: 507,
  OVERLOADED: 503,
  UNAVAILABLE: 503,
  CLOSED: 503,
} as const satisfies Partial<Record<ErrorCode, number>>;

interface ByIdentity {
  readonly Params: { readonly id: string };
  readonly Body: Buffer;
}

export function makeService({ database, photoBytesMax, logs }: ServiceOptions): FastifyInstance {
  const service = Fastify({
    bodyLimit: photoBytesMax ?? 8 * 1024 * 1024,
    logger: logs ?? false,
    // An identity's id has up to 128 characters, of up to 12 in a URL each.
    routerOptions: { maxParamLength: 128 * 12 },
  });
  service.removeAllContentTypeParsers();
  // Whatever an image calls itself, the database looks at its bytes.
  service.addContentTypeParser(/^image\/|^application\/octet-stream/, { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  service.setErrorHandler<FastifyError | HarmonidError>((error, request, reply) => refuse(error, reply, request.log));
  let isClosing = false;
  service.addHook('preClose', async () => {
    isClosing = true;
  });
  // A connection that is kept alive would keep the service for as long as its client likes.
  service.addHook('onSend', async (_request, reply) => {
    if (isClosing) void reply.header('connection', 'close');
  });
  service.addHook('onClose', () => database.close());

  service.post<ByIdentity>('/people/:id/photos', async ({ params, body, headers }, reply) => {
    const key = headers['idempotency-key'];
    const { identity, created, templates, faces } = await database.enroll({
      identity: params.id,
      images: [photo(body)],
      idempotencyKey: typeof key === 'string' ? key : undefined,
      signal: whileWaitedFor(reply),
    });
    void reply.status(201);
    return { identity, created, photo: templates[0]?.template, quality: faces[0]?.quality };
  });

  service.post<{ readonly Body: Buffer }>('/identify', async ({ body }, reply) => {
    const { decision, candidates, margin, threshold } = await database.identify({
      image: photo(body),
      faces: 'largest',
      signal: whileWaitedFor(reply),
    });
    return {
      decision,
      threshold,
      margin,
      candidates: candidates.map(({ identity, label, distance }) => ({ identity, label, distance })),
    };
  });

  service.delete<ByIdentity>('/people/:id', async ({ params }) => {
    const { existed, receipt } = await database.eraseIdentity({ identity: params.id });
    return { existed, receipt };
  });

  return service;
}

/** @throws IMAGE_EMPTY for a request without a body */
function photo(body: Buffer | undefined): Buffer {
  if (body === undefined) throw new HarmonidError('IMAGE_EMPTY', 'the request has no body; send the photo as it is');
  return body;
}

/** Fires when the client has gone before its answer. */
function whileWaitedFor({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}

function refuse(error: FastifyError | HarmonidError, reply: FastifyReply, log: FastifyReply['log']): FastifyReply {
  const known = isHarmonidError(error) ? error : ofHttp(error);
  const status = statusOf(known.code);
  if (status === 500) {
    log.error({ err: known.cause ?? known }, 'request failed unexpectedly');
    return reply.status(500).send({ code: 'INTERNAL', message: 'internal error' });
  }
  const { retryAfterMs } = known.details;
  if (typeof retryAfterMs === 'number') void reply.header('retry-after', Math.ceil(retryAfterMs / 1000));
  // Fastify's own status says more: 415 for a body that is no image, 503 while it closes.
  const own = isHarmonidError(error) ? undefined : error.statusCode;
  return reply.status(own ?? status).send({ code: known.code, message: known.message, details: known.details });
}

function statusOf(code: ErrorCode): number {
  const known: Partial<Record<ErrorCode, number>> = statuses;
  return known[code] ?? 500;
}

/** Fastify's own refusals, in our words. */
function ofHttp(error: FastifyError): HarmonidError {
  const { statusCode = 500, message } = error;
  if (statusCode === 413) return new HarmonidError('IMAGE_TOO_LARGE', message);
  if (statusCode === 503) return new HarmonidError('UNAVAILABLE', message);
  return new HarmonidError(statusCode < 500 ? 'INVALID_ARGUMENT' : 'INTERNAL', message, { cause: error });
}

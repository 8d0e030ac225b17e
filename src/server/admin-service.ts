/** harmonid.v1.AdminService: one short handler a call over any Database. */
import type {
  AdminServiceServer,
  CheckRequest,
  CheckResponse,
  ExportTemplatesRequest,
  ExportTemplatesResponse,
} from '../wire/harmonid/v1/admin.js';
import { formatExported } from '../wire/templates.js';
import { sendBackup } from './backup-call.js';
import type { CallContext, Calls } from './calls.js';
import {
  formatCalibrateAnswer,
  formatCalibration,
  formatFinding,
  formatGallery,
  formatInfo,
  formatStats,
} from './format.js';
import { parseCalibrate, parseCreateGallery, parseUpdateGallery } from './parse.js';
import { rolloutCalls } from './rollout-calls.js';
import { receiveTemplates } from './template-call.js';

export function adminService(calls: Calls, messageBytesMax: number): AdminServiceServer {
  return {
    createGallery: calls.unary(async (request, call) => ({
      gallery: formatGallery(await call.database.createGallery(parseCreateGallery(request, call))),
    })),
    getGallery: calls.unary(async ({ gallery }, { database, signal }) => ({
      gallery: formatGallery(await database.getGallery({ gallery, signal })),
    })),
    listGalleries: calls.unary(async (_request, { database, signal }) => ({
      galleries: (await database.listGalleries({ signal })).map(formatGallery),
    })),
    updateGallery: calls.unary(async (request, call) => ({
      gallery: formatGallery(await call.database.updateGallery(parseUpdateGallery(request, call))),
    })),
    deleteGallery: calls.unary(async ({ gallery }, { database, signal }) => ({
      existed: await database.deleteGallery({ gallery, signal }),
    })),
    getInfo: calls.unary(async (_request, { database, signal }) =>
      formatInfo(await database.stats({ signal }), messageBytesMax),
    ),
    getStats: calls.unary(async (_request, { database, signal }) => formatStats(await database.stats({ signal }))),
    checkpoint: calls.unary(async ({ gallery }, { database, signal }) => {
      await database.checkpoint({ gallery, signal });
      return {};
    }),
    calibrate: calls.unary(async (request, call) =>
      formatCalibrateAnswer(await call.database.calibrate(parseCalibrate(request, call))),
    ),
    getCalibration: calls.unary(async ({ gallery, space }, { database, signal }) => ({
      calibration: formatCalibration(await database.getCalibration({ gallery, space, signal })),
    })),
    check: calls.serverStream((request, call) => check(request, call)),
    exportTemplates: calls.serverStream((request, call) => exportTemplates(request, call)),
    importTemplates: calls.bidirectional((requests, call) => receiveTemplates(requests, call)),
    backup: calls.serverStream((_request, call) => sendBackup(call, messageBytesMax)),
    ...rolloutCalls(calls),
  };
}

async function* exportTemplates(
  { gallery }: ExportTemplatesRequest,
  { database, signal }: CallContext,
): AsyncIterable<ExportTemplatesResponse> {
  for await (const exported of database.exportTemplates({ gallery, signal })) yield formatExported(exported);
}

async function* check(request: CheckRequest, { database, signal }: CallContext): AsyncIterable<CheckResponse> {
  const findings = database.check({ ...request, signal });
  try {
    for (;;) {
      const next = await findings.next();
      if (next.done) {
        yield { part: { $case: 'counts', value: next.value } };
        return;
      }
      yield { part: { $case: 'finding', value: formatFinding(next.value) } };
    }
  } finally {
    // Whoever has gone reads no further.
    await findings.return({ records: 0, templates: 0, files: 0 });
  }
}

import type { AuditEventView } from '../rules/audit.ts';

export const exportTypes = ['application/json', 'application/x-ndjson', 'text/csv'] as const;
export type ExportType = (typeof exportTypes)[number];

/** The best of the offered types for an `Accept` header (RFC 9110 §12.5.1); JSON where none is acceptable. */
export function preferredType(accept: string | undefined): ExportType {
  let best: { type: ExportType; quality: number } = { type: 'application/json', quality: 0 };
  for (const type of exportTypes) {
    const quality = qualityOf(type, accept ?? '*/*');
    if (quality > best.quality) best = { type, quality };
  }
  return best.type;
}

function qualityOf(type: ExportType, accept: string): number {
  const ranges = [type, `${type.split('/', 1)[0]}/*`, '*/*'];
  let found = { specificity: ranges.length, quality: 0 };
  for (const part of accept.toLowerCase().split(',')) {
    const [range = '', ...parameters] = part.split(';').map((text) => text.trim());
    const specificity = ranges.indexOf(range);
    const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
    if (specificity !== -1 && specificity < found.specificity)
      found = { specificity, quality: Number.isFinite(quality) ? quality : 0 };
  }
  return found.quality;
}

const columns: readonly (readonly [string, (event: AuditEventView) => string | null])[] = [
  ['id', (e) => e.id],
  ['at', (e) => e.at],
  ['action', (e) => e.action],
  ['actorKind', (e) => e.actor.kind],
  ['actorId', (e) => e.actor.id],
  ['actorSessionId', (e) => e.actor.sessionId],
  ['actorSupportAccessGrantId', (e) => e.actor.supportAccessGrantId],
  ['subjectKind', (e) => e.subject.kind],
  ['subjectId', (e) => e.subject.id],
  ['reason', (e) => e.reason],
  ['details', (e) => JSON.stringify(e.details)],
  ['hash', (e) => e.hash],
  ['previousHash', (e) => e.previousHash],
];

const line = (cells: readonly (string | null)[]): string => `${cells.map(csvCell).join(',')}\r\n`;

/**
 * One cell by RFC 4180. A cell that a spreadsheet would run as a formula begins with an apostrophe instead: what an
 * audited person wrote must not act on the auditor's machine.
 */
export function csvCell(value: string | null): string {
  const text = value ?? '';
  const inert = /^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}

const CHUNK_LENGTH = 32 * 1024;

const formats: Record<
  Exclude<ExportType, 'application/json'>,
  { header: string; row: (event: AuditEventView) => string }
> = {
  'application/x-ndjson': { header: '', row: (event) => `${JSON.stringify(event)}\n` },
  'text/csv': {
    header: line(columns.map(([name]) => name)),
    row: (event) => line(columns.map(([, cell]) => cell(event))),
  },
};

/** The export's text in chunks of bounded size. An aborted `signal` makes it throw: an export is whole or broken. */
export async function* exportText(
  type: keyof typeof formats,
  events: AsyncIterable<AuditEventView>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const { header, row } = formats[type];
  let chunk = header;
  for await (const event of events) {
    signal.throwIfAborted();
    chunk += row(event);
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = '';
  }
  signal.throwIfAborted();
  yield chunk;
}

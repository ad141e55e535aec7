/** A collector of traces: OTLP over HTTP, as protobuf, decoded as far as tests look at it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import protobuf from 'protobufjs';

// the parts of opentelemetry/proto/trace/v1/trace.proto that are read here, by their numbers there
const { root } = protobuf.parse(`syntax = "proto3";
  message Export { repeated ResourceSpans resourceSpans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scopeSpans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { repeated Span spans = 2; }
  message Span { bytes traceId = 1; bytes spanId = 2; bytes parentSpanId = 4; string name = 5; int32 kind = 6; repeated KeyValue attributes = 9; Status status = 15; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value { string stringValue = 1; bool boolValue = 2; int64 intValue = 3; double doubleValue = 4; } }
  message Status { string message = 2; int32 code = 3; }`);
const Export = root.lookupType('Export');

interface Pair {
  key: string;
  value: Record<string, string | number | boolean>;
}
interface Decoded {
  resourceSpans: {
    resource: { attributes: Pair[] };
    scopeSpans: {
      spans: {
        traceId: Uint8Array;
        spanId: Uint8Array;
        parentSpanId?: Uint8Array;
        name: string;
        kind: number;
        attributes: Pair[];
        status?: { code?: number };
      }[];
    }[];
  }[];
}

export interface ReceivedSpan {
  service: unknown;
  traceId: string;
  spanId: string;
  /** Empty where it is the first of its trace. */
  parentSpanId: string;
  name: string;
  attributes: Record<string, unknown>;
  isError: boolean;
}

export interface TraceReceiver {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  url: string;
  spans: ReceivedSpan[];
  /** Every body, as it came: in protobuf each text is in it as it is. */
  bodies: Buffer[];
  headers: IncomingMessage['headers'][];
  close(): Promise<void>;
}

export async function startTraceReceiver(): Promise<TraceReceiver> {
  const receiver: Omit<TraceReceiver, 'url' | 'close'> = { spans: [], bodies: [], headers: [] };
  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    receiver.headers.push(request.headers);
    receiver.bodies.push(body);
    if (request.url === '/v1/traces') receiver.spans.push(...decode(body));
    response.writeHead(request.url === '/v1/traces' ? 200 : 404, { 'content-type': 'application/x-protobuf' }).end();
  }
  const server = createServer((request, response) => void receive(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  });
}

function decode(body: Buffer): ReceivedSpan[] {
  const options = { longs: Number, arrays: true };
  const { resourceSpans } = Export.toObject(Export.decode(body), options) as Decoded;
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service: record(resource.attributes)['service.name'],
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        name: span.name,
        attributes: record(span.attributes),
        isError: span.status?.code === 2,
      })),
    ),
  );
}

const hex = (bytes: Uint8Array = new Uint8Array()) => Buffer.from(bytes).toString('hex');
const record = (pairs: Pair[]) => Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChainStore, createChainStore } from './auth-module/chain-store.ts';
import { type Call, commitTransportFault, distort, type Fault } from './auth-module/faults.ts';
import { answerOf, readCall } from './auth-module/faulty-calls.ts';
import { createInjections, type Injection } from './auth-module/injections.ts';

export interface FaultyAuthModule {
  /** Base address, the same after a restart. */
  readonly url: string;
  readonly token: string;
  readonly chains: ChainStore;
  /** Every call with a good token and a known path, in order of arrival. */
  readonly calls: Call[];
  /** Most calls that were answered at the same time since the last `clear`. */
  readonly peakInFlight: number;
  pageSize: number;
  /** From now on; several may befall one call, in the order of injection. Returns what removes it. */
  inject(fault: Fault, injection?: Injection): () => void;
  /** Removes all faults and forgets the calls; the chains stay. */
  clear(): void;
  /** Refuses every connection until `restart`; what is in flight is cut. */
  stop(): Promise<void>;
  restart(): Promise<void>;
}

/** A predicate for `when`: the page holds this chain or session. With `status` 500, an id that poisons its page. */
export const asksFor = (id: string) => (call: Call) =>
  [call.body.sessionIds, 'chainIds' in call.body ? call.body.chainIds : []].some((ids) => ids?.includes(id));

/** An Auth Module by the contract, over real HTTP, in memory, and as wrong as a test wants it. */
export async function startFaultyAuthModule({ token = 'test-token', pageSize = 500 } = {}): Promise<FaultyAuthModule> {
  const chains = createChainStore();
  const calls: Call[] = [];
  const injections = createInjections();
  let inFlight = 0;
  let peakInFlight = 0;

  const server = createServer((request, response) => {
    peakInFlight = Math.max(peakInFlight, ++inFlight);
    response.once('close', () => (inFlight -= 1));
    void handle(request, response).catch(() => request.socket.destroy());
  });
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request, token);
    if (typeof call === 'number') return void response.writeHead(call).end('{}');
    calls.push(call);
    response.once('finish', () => (call.status = response.statusCode));
    const faults = injections.befall(call);
    for (const fault of faults) {
      if (fault.kind === 'slow') await sleep(fault.latencyMs);
      if (fault.kind === 'held') await fault.until;
      if (await commitTransportFault(fault, request, response)) return;
    }
    const truth = answerOf(call, chains, faults, self.pageSize);
    const answer = faults.reduce((told, fault) => distort(told, fault, call, chains), truth);
    for (const fault of faults) if (fault.kind === 'late-answer') await fault.until;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  await listen(0);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  const { port } = address;

  const self: FaultyAuthModule = {
    url: `http://127.0.0.1:${port}`,
    token,
    chains,
    calls,
    pageSize,
    get peakInFlight() {
      return peakInFlight;
    },
    inject: (fault, injection) => injections.inject(fault, injection),
    clear() {
      injections.clear();
      calls.length = 0;
      peakInFlight = inFlight;
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
    restart: () => listen(port),
  };
  return self;
}

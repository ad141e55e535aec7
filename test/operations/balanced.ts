import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, RequestOptions } from '../harness/client.ts';
import { call } from '../harness/client.ts';

/**
 * A load balancer of a dozen lines: round robin over the addresses that are in service, and where a connection fails
 * before there is an answer, the next one. That is safe for every request of this service: with an `Idempotency-Key`, or
 * by the event's own id.
 */
export function createBalancer(addresses: { url: string }[]) {
  let turn = 0;
  const state = { retried: 0, asked: 0 };
  const balanced = async <T>(method: string, path: string, options: RequestOptions): Promise<Answer<T>> => {
    for (let attempt = 1; ; attempt++) {
      const address = addresses[turn++ % addresses.length];
      try {
        if (address === undefined) throw new TypeError('none is in service');
        const answer = await call<T>(address, method, path, {
          ...options,
          headers: { ...options.headers, connection: 'close' },
        });
        // 409: the first try is still at work; 503: it asks to be asked again (a machine too busy to open a connection)
        if (answer.status !== 409 && answer.status !== 503) return answer;
        state.asked += 1;
      } catch (error) {
        if (attempt === 100) throw error;
        state.retried += 1;
      }
      await sleep(100);
    }
  };
  return { balanced, state };
}
